"""Settings come from the environment, and one that is malformed stops the start by name."""

import pytest

from xendit_sim.config import Settings


def test_with_an_empty_environment_the_defaults_suit_the_local_stack() -> None:
    settings = Settings.from_env({})
    assert settings == Settings()
    assert settings.retry_scale == pytest.approx(1 / 900)


def test_every_setting_has_its_variable() -> None:
    assert Settings.from_env(
        {
            "XENDIT_SIM_HOST": "0.0.0.0",
            "XENDIT_SIM_PORT": "29090",
            "XENDIT_SIM_KEY": "k",
            "XENDIT_SIM_CALLBACK_URL": "http://paymentfc:28083/hook",
            "XENDIT_SIM_CALLBACK_TOKEN": "t",
            "XENDIT_SIM_DATA": "/tmp/x.sqlite",
            "XENDIT_SIM_PUBLIC_URL": "https://pay.test/",
            "XENDIT_SIM_RETRY_SCALE": "0.5",
        }
    ) == Settings(
        host="0.0.0.0",
        port=29090,
        key="k",
        callback_url="http://paymentfc:28083/hook",
        callback_token="t",
        data="/tmp/x.sqlite",
        public_url="https://pay.test",
        retry_scale=0.5,
    )


def test_the_key_and_the_token_of_the_service_are_taken_when_the_simulator_has_none_of_its_own() -> None:
    service = {"XENDIT_SECRET_API_KEY": "service-key", "XENDIT_WEBHOOK_TOKEN": "service-token"}
    settings = Settings.from_env(service)
    assert (settings.key, settings.callback_token) == ("service-key", "service-token")
    own = Settings.from_env({**service, "XENDIT_SIM_KEY": "own", "XENDIT_SIM_CALLBACK_TOKEN": "own-token"})
    assert (own.key, own.callback_token) == ("own", "own-token")


def test_the_address_that_payers_see_follows_the_port() -> None:
    assert Settings.from_env({"XENDIT_SIM_PORT": "29999"}).public_url == "http://localhost:29999"


def test_an_empty_variable_counts_as_unset() -> None:
    names = (
        "HOST",
        "PORT",
        "KEY",
        "CALLBACK_URL",
        "CALLBACK_TOKEN",
        "DATA",
        "PUBLIC_URL",
        "RETRY_SCALE",
    )
    assert Settings.from_env({f"XENDIT_SIM_{name}": " " for name in names}) == Settings()


@pytest.mark.parametrize(
    ("text", "scale"), [("1/900", 1 / 900), ("0", 0), ("2", 2), ("1e-3", 0.001), (" 1 / 4 ", 0.25)]
)
def test_the_scale_is_a_number_or_a_fraction(text: str, scale: float) -> None:
    assert Settings.from_env({"XENDIT_SIM_RETRY_SCALE": text}).retry_scale == pytest.approx(scale)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("XENDIT_SIM_PORT", ["http", "0", "65536", "-1", "8.5", "1e4", "٣"]),
        ("XENDIT_SIM_RETRY_SCALE", ["fast", "1/0", "-1", "nan", "inf", "1e400", "1/2/3", "1/x"]),
        ("XENDIT_SIM_CALLBACK_URL", ["paymentfc:28083/hook", "/hook", "ftp://host/", "http://", "http://h:port/"]),
        ("XENDIT_SIM_PUBLIC_URL", ["pay.test", "http://[", "https://:80"]),
        ("XENDIT_SIM_CALLBACK_TOKEN", ["tökén", "a\nb"]),
    ],
)
def test_a_malformed_setting_stops_the_start_with_one_line_that_names_it(name: str, values: list[str]) -> None:
    for value in values:
        with pytest.raises(SystemExit) as stopped:
            Settings.from_env({name: value})
        assert name in str(stopped.value), value
        assert "\n" not in str(stopped.value)
