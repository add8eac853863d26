"""The retriever over gRPC: conversion between protobuf messages and domain types."""
