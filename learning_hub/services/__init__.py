"""
The application services: what people and programs do with the hub, as plain functions and small classes.

Each module is one noun, named as the API names it. A service takes the caller and values, and returns values or raises
errors of the model: it knows no request, no response and no status code. The API and the command line call the same
services.
"""
