"""The two services, and what starts them. `shared` never imports from here."""
