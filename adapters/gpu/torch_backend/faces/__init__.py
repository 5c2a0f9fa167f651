"""Face restoration: detect, align, restore and paste back faces. Source: spec images.md 11."""
