"""What wsseg survives: files that are damaged or made to harm, and kills at any moment."""
