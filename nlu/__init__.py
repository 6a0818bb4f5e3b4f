"""Understanding: intents, entities and personal data in text. Imports `vault` only."""
