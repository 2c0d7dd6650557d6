"""What a Python programmer would do today, beside Campana: Celery, Redis and requests, one task for each person."""
