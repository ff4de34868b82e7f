"""productfc: products, categories and the stock that orders hold."""
