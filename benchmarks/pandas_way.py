"""The demo's task as one would write it with pandas: the contract, the features and the label by hand."""

import pandas as pd

from pipeline_assets.task.spec import Stage

_KEY = ["flight_date", "carrier", "flight", "origin"]
_REQUIRED = [*_KEY, "sched_dep_time", "sched_arr_time", "dest", "distance"]
_BETWEEN = {
    "sched_dep_time": (0, 2359),
    "sched_arr_time": (0, 2359),
    "temp": (-80, 140),
    "dewp": (-100, 100),
    "humid": (0, 100),
    "wind_dir": (0, 360),
    "wind_speed": (0, 250),
    "wind_gust": (0, float("inf")),
    "precip": (0, 15),
    "pressure": (870, 1085),
    "visib": (0, 10),
    "plane_year": (1903, float("inf")),
    "engines": (1, 8),
    "seats": (1, float("inf")),
}
_BETWEEN_IN_TRAIN = {"dep_time": (0, 2400), "arr_time": (0, 2400), "air_time": (1, float("inf"))}
_COPIED = {
    "distance": "distance",
    "seats": "seats",
    "dew_point": "dewp",
    "humidity": "humid",
    "wind_direction": "wind_dir",
    "wind_speed": "wind_speed",
    "precipitation": "precip",
    "precipitation_6h": "precip_6h",
    "visibility": "visib",
    "visibility_6h": "visib_6h",
    "pressure": "pressure",
    "pressure_change_6h": "pressure_change_6h",
}
CATEGORICAL = ["carrier", "origin", "dest"]


def accepted(rows: pd.DataFrame, stage: Stage) -> pd.DataFrame:
    """The rows that keep the contract; nulls keep every check, as in SQL."""
    good = rows[_REQUIRED].notna().all(axis=1)
    for name, (low, high) in {**_BETWEEN, **(_BETWEEN_IN_TRAIN if stage == "train" else {})}.items():
        good &= rows[name].between(low, high) | rows[name].isna()
    for name in ("sched_dep_time", "sched_arr_time"):
        good &= rows[name] % 100 < 60
    good &= (rows["carrier"].str.len() == 2) & (rows["dest"].str.len() == 3)
    good &= rows["origin"].isin(["EWR", "JFK", "LGA"]) & (rows["origin"] != rows["dest"])
    good &= (rows["flight"] > 0) & (rows["distance"] > 0)
    good &= ~(rows["pressure_change_6h"].abs() >= 100)
    for less, more in (("precip", "precip_6h"), ("visib_6h", "visib"), ("dewp", "temp"), ("wind_speed", "wind_gust")):
        good &= ~(rows[less] > rows[more])
    good &= ~(rows["plane_year"] > pd.to_datetime(rows["flight_date"]).dt.year)
    return rows[good & ~(rows.duplicated(_KEY) & good)]


def features(rows: pd.DataFrame) -> pd.DataFrame:
    """The model's columns, in its order."""
    day = pd.to_datetime(rows["flight_date"])
    made = {
        "departure_minute": rows["sched_dep_time"] // 100 * 60 + rows["sched_dep_time"] % 100,
        "weekday": day.dt.dayofweek + 1,
        "plane_age": day.dt.year - rows["plane_year"],
        "frost": rows["temp"].clip(upper=40),
        "wind_gust": rows["wind_gust"].fillna(rows["wind_speed"]),
        **{name: rows[source] for name, source in _COPIED.items()},
    }
    numbers = pd.DataFrame(made).astype("float64")
    return pd.concat([numbers[ORDER], rows[CATEGORICAL]], axis=1)


ORDER = [
    "departure_minute", "weekday", "distance", "plane_age", "seats", "frost", "dew_point", "humidity",
    "wind_direction", "wind_speed", "wind_gust", "precipitation", "precipitation_6h", "visibility", "visibility_6h",
    "pressure", "pressure_change_6h",
]  # fmt: skip


def label(rows: pd.DataFrame) -> pd.Series:
    """1 late, 0 not, NaN unknown."""
    return (rows["arr_delay"] > 15).astype("float64").where(rows["arr_delay"].notna())
