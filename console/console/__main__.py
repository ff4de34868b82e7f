"""Runs the console: `python -m console serve`."""

from chassis import startup

if __name__ == "__main__":
    startup.run("console")
