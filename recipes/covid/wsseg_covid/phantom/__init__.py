"""A made-up chest CT with COVID pneumonia, of which every voxel's label is known.

In the order in which it is drawn:
    space       millimetres in the patient; smooth random fields over them
    shapes      signed distances of ellipsoids, columns and tubes
    lungs       the chest's cavity, the diaphragm's domes, fissures
    mediastinum heart, great vessels, trachea
    bodywall    skin, muscles, ribs, spine, sternum, shoulder blades
    abdomen     liver, spleen, stomach
    anatomy     all of these in one patient
    trees       vessels and bronchi inside the lungs
    strewn      how thin pipes fill voxels
    lesions     where ground-glass and consolidation are
    tissue      how dense everything is, in HU
    scanner     kernels and noise of three sites
    patient     one scan with its masks
    cohort      many scans as files, and the component lung-phantom
"""
