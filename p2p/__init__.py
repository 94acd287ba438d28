"""Peers: mutual TLS 1.3 over WebSocket, dialling, limits, gossip. Knows chain and no other room."""
