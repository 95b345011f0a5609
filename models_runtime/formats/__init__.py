"""Data sets as others write and read them: COCO, YOLO, Pascal VOC."""
