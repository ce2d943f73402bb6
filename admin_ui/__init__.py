"""The pages: the owner's, and each sharer's own."""
