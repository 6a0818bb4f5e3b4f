"""Understanding: intents, entities and personal data in text. Imports `vault` only.

```
fr.yaml, en.yaml ─► strict_yaml ─► marks ─► training_files ─► checking       rasa ─► training files
                                                  │
                           text ─► features ─► network ─► confidence ─► intents ─┐
                             └────────────────────────────────────► language ─┤
                                                                              ▼
                                            evaluation ◄─── understanding ◄─► model_file ◄─► sealed_model
                                                              ▲         │
             the log ─► from_log ─► review, lesson ───────────┘         └─► in_service ─► worker ─► the log
                                                                                           └─► mentions ─► key store
```
"""
