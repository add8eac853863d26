"""The HTTP form of the public API as an OpenAPI document, made from the contract.

Our own, for want of a Python package that does it: gnostic's and grpc-gateway's generators are Go programs.
What each operation takes, gives and says comes from protos/, the errors from rag_contract.errors, the scopes
from the policy that ships with the gateway; nothing in here is about one method.
"""
