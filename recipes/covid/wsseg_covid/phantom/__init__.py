"""A synthetic chest CT with COVID-19 pneumonia, in which the label of every voxel is known.

Modules, in the order of drawing:
    space       coordinates in mm, and smooth random fields
    shapes      signed distances of ellipsoids, columns and tubes
    lungs       chest cavity, domes of the diaphragm, fissures
    mediastinum heart, great vessels, trachea
    bodywall    skin, muscles, ribs, spine, sternum, shoulder blades
    abdomen     liver, spleen, stomach
    anatomy     all organs of a patient
    trees       vessels and bronchi inside the lungs
    strewn      partial volumes of thin pipes
    lesions     extent of ground-glass and consolidation
    tissue      densities in HU
    scanner     reconstruction kernels and noise of three sites
    patient     a scan with its masks
    cohort      scans as files, and the cohort lung-phantom
"""
