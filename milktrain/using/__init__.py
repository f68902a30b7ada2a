"""What a finished run is good for: judged again, asked for recommendations, asked what is alike. See README.md."""
