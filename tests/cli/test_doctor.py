from __future__ import annotations

import json
from importlib import metadata

import pytest
import torch

import likewise.registry
import likewise.weights
from likewise.cli import doctor as module
from likewise.cli.doctor import doctor, examine
from likewise.weights import Preset, WeightCard


def found(name: str) -> module.Finding:
    (finding,) = (f for f in examine() if f.name == name)
    return finding


def pretend_version(monkeypatch: pytest.MonkeyPatch, package: str, version: str | None) -> None:
    real = metadata.version

    def pretended(name: str) -> str:
        if name != package:
            return real(name)
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(metadata, "version", pretended)


def test_every_dependency_is_looked_at():
    base = {line.split(">")[0] for line in metadata.requires("likewise") or [] if "extra ==" not in line}
    assert len(base) >= 10
    names = [f.name for f in examine()]
    assert base | {"python", "devices", "deformable convolution", "emoji font", "extra [train]"} <= set(names)
    assert len(names) == len(set(names))


def test_nothing_but_weights_is_broken_where_the_tests_run():
    assert [f for f in examine() if f.state == "broken" and not f.name.startswith("weights")] == []


@pytest.mark.parametrize(("version", "said"), [("0.1", "is 0.1, needed >="), (None, "is not installed")])
def test_a_dependency_that_is_old_or_missing_is_broken(monkeypatch, capsys, version, said):
    pretend_version(monkeypatch, "safetensors", version)
    finding = found("safetensors")
    assert finding.state == "broken"
    assert said in finding.detail
    assert finding.remedy.startswith("pip install 'safetensors>=")
    assert doctor() == 1
    assert "safetensors" in capsys.readouterr().out


def test_an_extra_that_is_incomplete_can_be_done_without(monkeypatch):
    pretend_version(monkeypatch, "lightning", "2.6.3")
    finding = found("extra [train]")
    assert finding.state == "missing"
    assert finding.detail == "lightning is 2.6.3, needed >=2.6.4"
    assert "pip install '.[train]'" in finding.remedy


def test_a_wrong_operator_is_broken(monkeypatch):
    import likewise.ops.deform.conv2d as operator

    assert found("deformable convolution").state == "ok"
    monkeypatch.setattr(operator, "deform_conv2d", lambda *_, backend: torch.zeros(1, 2, 6, 6))
    assert found("deformable convolution").state == "broken"
    assert "the torchvision path is wrong" in found("deformable convolution").detail


def test_no_emoji_font_can_be_done_without(monkeypatch):
    from likewise.scenes.kinds import emoji

    monkeypatch.setattr(emoji, "find_font", lambda: None)
    finding = found("emoji font")
    assert finding.state == "missing"
    assert "fonts-noto-color-emoji" in finding.remedy


def test_bundled_weights_are_compared_with_their_card(monkeypatch, tmp_path):
    monkeypatch.setattr(likewise.weights, "ASSETS", tmp_path)
    path = tmp_path / "made_up.safetensors"
    path.write_bytes(b"abc")
    # SHA-256 of "abc": FIPS 180-2, appendix B.1
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    card = WeightCard(licence="none", data="none", file=path.name, sha256=known)
    preset = Preset("made-up", torch.nn.Identity, None, card)
    monkeypatch.setattr(likewise.registry, "model_names", lambda: ["made-up"])
    monkeypatch.setattr(likewise.registry, "preset", lambda _: preset)
    assert found("weights of made-up").state == "ok"
    path.write_bytes(b"abd")
    assert "differs" in found("weights of made-up").detail
    path.unlink()
    assert "is missing" in found("weights of made-up").detail
    assert doctor() == 1


def test_an_examination_that_fails_is_a_finding_and_the_others_go_on(monkeypatch):
    def fail():
        raise OSError("no such library")

    monkeypatch.setitem(module._EXAMINATIONS, "devices", fail)
    assert found("devices").detail == "OSError: no such library"
    assert found("emoji font")


def test_json_is_one_object(monkeypatch, capsys):
    pretend_version(monkeypatch, "rich", None)
    assert doctor(as_json=True) == 1
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert told["sound"] is False
    (rich,) = (f for f in told["findings"] if f["name"] == "rich")
    assert rich["state"] == "broken"


def test_what_was_switched_off_is_to_be_switched_on_not_compiled(monkeypatch):
    monkeypatch.setenv("LIKEWISE_NATIVE", "0")
    finding = found("compiled functions")
    assert (finding.state, finding.remedy) == ("missing", "unset LIKEWISE_NATIVE")
