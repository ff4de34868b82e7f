"""Runs userfc: `python -m userfc serve`, and the other commands that `chassis.service` lists."""

from chassis import startup

if __name__ == "__main__":
    startup.run("userfc")
