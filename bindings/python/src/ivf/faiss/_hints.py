"""What to do instead of what this module has not."""

from __future__ import annotations

import re

# By the beginning of a name, longest first where one begins another.
_INSTEAD = {
    r"IndexHNSW|IndexNSG|IndexNNDescent": 'index_factory(d, "IVF1024,Flat"), and nprobe for efSearch',
    r"Index\w*RaBitQ": 'index_factory(d, "IVF1024,RaBitQ")',
    r"Index\w*(PQ|Residual|Additive|LocalSearch|Product|LSH)": 'index_factory(d, "IVF1024,PQ16")',
    r"ProductQuantizer": 'index_factory(d, "PQ16")',
    r"IndexRefine": "IndexRefineFlat(base_index)",
    r"IndexBinary|index_binary": "IndexFlatL2 of the bits as 0 and 1, whose distance is Hamming's",
    r"IndexShards|IndexReplicas": "one index: every call uses all threads",
    r"\w*(Gpu|_gpu|GPU)": 'ivf.Index(d, "IVF1024,Flat", context=ivf.Context(device="gpu"))',
    r"PCAMatrix": 'index_factory(d, "PCA64,Flat")',
    r"OPQMatrix": 'index_factory(d, "OPQ16_64,Flat")',
    r"ITQ\w*": 'index_factory(d, "ITQ64,Flat")',
    r"RandomRotationMatrix": 'index_factory(d, "RR64,Flat")',
    r"NormalizationTransform": 'index_factory(d, "L2norm,Flat")',
    r"CenteringTransform": 'index_factory(d, "Center,Flat")',
    r"LinearTransform|VectorTransform": "index_factory with a transform in front",
    r"Clustering": "Kmeans(d, k)",
    r"METRIC_": "METRIC_L2 or METRIC_INNER_PRODUCT; cosine is the latter after normalize_L2",
    r"vector_to_array|rev_swig_ptr": "index.reconstruct_n() for vectors, kmeans.centroids",
    r"OnDiskInvertedLists|merge_ondisk": "ivf.load(path, memory_map=True)",
}


def hint(name: str) -> str | None:
    """An error's text for a name that faiss has; None for others."""
    for pattern, instead in _INSTEAD.items():
        if re.match(pattern, name):
            return f"ivf.faiss has no {name!r} (yet); use {instead}"
    return None
