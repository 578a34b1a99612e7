"""Tags of patients from their radiology reports in English."""
