"""Options that sampling reads (spec api.md 17), where what is stored is none of their choices."""

import pytest

from hexfusion.application.planning.sampling import plan_sampling
from hexfusion.domain.errors import OptionError
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.options import Options


@pytest.mark.parametrize(
    "key", ["randn_source", "sd_noise_schedule", "uni_pc_variant", "uni_pc_skip_type"]
)
def test_a_text_that_is_no_choice_is_refused_by_name(key: str) -> None:
    with pytest.raises(OptionError, match=f"{key}: must be one of: .*; not 'Magic'") as refused:
        Options({key: "Magic"})
    assert refused.value.key == key


def test_every_choice_is_taken() -> None:
    options = Options({"randn_source": "NV", "sd_noise_schedule": "Zero Terminal SNR"})
    chosen = plan_sampling(Txt2Img(), options).options
    assert (chosen.randn_source, chosen.sd_noise_schedule) == ("NV", "Zero Terminal SNR")
