"""What a microscope shows: nuclei, and tissue."""
