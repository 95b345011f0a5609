"""segment_anything works with and without a usable torchvision."""

import subprocess
import sys
import textwrap

import numpy as np
import torch
from PIL import Image

from models_runtime.sam import compat


def in_a_fresh_process(code):
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_package_loads_and_leaves_no_stand_in_behind():
    out = in_a_fresh_process("""
        import sys
        class Hide:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] == "torchvision":
                    raise ModuleNotFoundError(name)
        sys.meta_path.insert(0, Hide())
        from models_runtime.sam import compat
        package = compat.load()
        assert package is compat.load()
        print(sorted(package.sam_model_registry))
        print([n for n in sys.modules if n.split(".")[0] == "torchvision"])
    """)
    assert "vit_b" in out
    assert out.splitlines()[1] == "[]"


def test_a_torchvision_that_works_is_used(tmp_path):
    package = tmp_path / "torchvision"
    (package / "ops").mkdir(parents=True)
    (package / "transforms").mkdir()
    (package / "__init__.py").write_text("")
    (package / "ops" / "__init__.py").write_text("")
    (package / "ops" / "boxes.py").write_text(
        "REAL = True\ndef batched_nms(*a): ...\ndef box_area(*a): ...\n"
    )
    (package / "transforms" / "__init__.py").write_text("")
    (package / "transforms" / "functional.py").write_text(
        "def resize(*a): ...\ndef to_pil_image(*a): ...\n"
    )
    out = in_a_fresh_process(f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        from models_runtime.sam import compat
        compat.load()
        print(sys.modules["torchvision.ops.boxes"].REAL)
    """)
    assert out.strip() == "True"


def test_a_torchvision_that_breaks_on_import_is_stepped_around(tmp_path):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    out = in_a_fresh_process(f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        from models_runtime.sam import compat
        print(compat.torchvision_works(), compat.load().__name__)
    """)
    assert out.strip() == "False segment_anything"


def test_an_import_that_failed_halfway_before_does_no_harm():
    out = in_a_fresh_process("""
        import sys
        class Hide:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] == "torchvision":
                    raise ModuleNotFoundError(name)
        sys.meta_path.insert(0, Hide())
        try:
            import segment_anything
        except ModuleNotFoundError:
            pass
        from models_runtime.sam import compat
        print(compat.load().modeling.Sam.__name__)
    """)
    assert out.strip() == "Sam"


def test_overlapping_boxes_of_one_kind_are_thinned_out_and_of_two_kinds_are_not():
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [50, 50, 60, 60]])
    scores = torch.tensor([0.5, 0.9, 0.7])
    same, two = torch.tensor([0, 0, 0]), torch.tensor([0, 1, 0])
    assert compat.batched_nms(boxes, scores, same, 0.5).tolist() == [1, 2]
    assert compat.batched_nms(boxes, scores, two, 0.5).tolist() == [1, 2, 0]
    assert compat.batched_nms(boxes[:0], scores[:0], same[:0], 0.5).tolist() == []


def test_pictures_are_resized_to_height_and_width_in_this_order():
    picture = compat.to_pil_image(np.zeros((4, 6, 3), np.uint8))
    assert isinstance(picture, Image.Image)
    assert compat.resize(picture, (10, 20)).size == (20, 10)
