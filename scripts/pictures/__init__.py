"""What people see of a running platform, as pictures: `python -m scripts.pictures [FOLDER]`."""
