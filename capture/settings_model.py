"""What settings there are, and what may stand in them; imported where something is set, since the checking library takes its time."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from capture.errors import UsageError
from capture.lengths import parse_um


class SettingsModel(BaseModel):
    """Every setting that may stand in a file or the environment; None where it was not set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("pixel_um", "coc_um", mode="before")
    @classmethod
    def _with_unit(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return parse_um(value)
        except UsageError as error:
            raise ValueError(error.message) from error

    rail: str | None = Field(None, description="port of the rail: /dev/ttyUSB0, socket://host:port")
    profile: str | None = Field(None, description="rail profile: a name, or the path of a TOML file")
    camera: str | None = Field(None, description="port of the camera: usb:001,004 or ptpip:host:port")
    magnification: float | None = Field(None, gt=0, description="image size over object size")
    f_number: float | None = Field(None, gt=0, description="f-number as marked on the lens")
    pupil: float | None = Field(None, gt=0, description="pupil magnification of the lens")
    pixel_um: float | None = Field(None, gt=0, description="pixel pitch of the sensor in um")
    coc_um: float | None = Field(None, gt=0, description="circle of confusion on the sensor in um")
    wavelength_nm: float | None = Field(None, gt=0, description="wavelength of the light in nm")
    overlap: float | None = Field(None, ge=0, lt=1, description="share by which neighbouring zones of focus overlap")
    settle_s: float | None = Field(None, ge=0, le=600, description="wait between stop and shutter, in seconds")
    iso: str | None = Field(None, description="ISO the session sets")
    shutter: str | None = Field(None, description="shutter time the session sets, for example 1/60")
    aperture: str | None = Field(None, description="aperture the session sets, for example 5.6")
    format: str | None = Field(None, description="RAW, JPEG or RAW+JPEG")
    target: str | None = Field(None, description="card or memory")
    method: str | None = Field(None, description="fusion method: auto, pyramid, depthmap, average")
    flash_wait_s: float | None = Field(
        None, ge=0, le=600, description="seconds a flash takes to charge between two shots"
    )
    live_check: bool | None = Field(
        None,
        description="false: no live frame is asked for before a session, of a camera that takes stills and refuses those",
    )
    notify: str | None = Field(None, description="at the end and on trouble: bell, desktop, or a command")
    memory: str | None = Field(None, description="memory the stacker may use, for example 4G")
