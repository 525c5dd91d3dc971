"""The nouns of the API, one folder each; imports between them only go down the declared order."""
