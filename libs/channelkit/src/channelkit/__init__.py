"""What every channel needs once: sessions, leases, lanes, pacing, ledger, vault."""
