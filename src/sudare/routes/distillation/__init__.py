"""Share a few learned images of each class: DM, DSA, MTT and IDC, and subsets beside them."""
