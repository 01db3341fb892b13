"""
The Learning Hub: an event store between the systems where people learn and the systems that must know.

An event goes through the stages from left to right, and each leaves a row behind:

    publish  ->  event     from a request's body to a committed entry of the feed
    process  ->  delivery  which subscription gets which event
    deliver  ->  attempt   one attempt to send it to the subscriber

`model` holds the rules and does no I/O; `store` is all SQL; `connectors` speak the subscribers' protocols; `rendering`
runs templates; `services` are what people and programs do with the hub; `api` and `cli` are the ways in; `main` puts
the parts together; `demo` tells the story of a dozen events; `sandbox` is an iMIS to develop and demonstrate against.
"""

__version__ = "0.1.0"
