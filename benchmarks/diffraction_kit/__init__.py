"""Parts of the diffraction benchmark."""
