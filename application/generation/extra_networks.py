"""Use-case: find the files of the extra networks that prompts and options name.

Source: spec prompts.md 6 and 7.4, networks.md 2.1.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from hexfusion.application.planning.texts import Prompts
from hexfusion.application.ports.extra_networks import NetworkCatalog
from hexfusion.application.ports.inference import Rendered
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import InvalidRequest, NotFound
from hexfusion.domain.extra_networks import Embedding, Hypernetwork, Lora, LoraNames
from hexfusion.domain.infotext import Extra, format_hashes
from hexfusion.domain.options import Options
from hexfusion.domain.plan import HiresPlan, HypernetworkPlan, LoraPlan, NetworksPlan, Pass, Plan
from hexfusion.domain.prompts import NetworkTag, extract_networks, hypernet_uses, lora_uses

if TYPE_CHECKING:
    from hexfusion.application.planning import JobPlan

#: Options that add a network to every prompt, by the kind of their tag.
_BY_OPTION = {
    "lora": ("Lora", "sd_lora"),
    "hypernet": ("Hypernetwork", "sd_hypernetwork"),
}
_KINDS = ("lora", "lyco", "hypernet")

_log = logging.getLogger(__name__)


class ExtraNetworks:
    """LoRA, hypernetworks and embeddings for jobs. Safe to call from many threads.

    Without `hashing` no hashes are computed, and infotext has none. With `strict` a missing network
    is an error, else a comment in the response's `info`.
    """

    def __init__(
        self, catalog: NetworkCatalog, *, hashing: bool = True, strict: bool = False
    ) -> None:
        self._catalog = catalog
        self._hashing = hashing
        self._strict = strict
        self._printed: Sequence[Embedding] = ()

    def planned(self, plan: "JobPlan", options: Options, *, disabled: bool = False) -> "JobPlan":
        """The plan with the networks of each batch, by the tags of its first prompt.

        `disabled` leaves LoRA and hypernetworks out (field disable_extra_networks). Raises
        `InvalidRequest` for a malformed tag, and if strict for a missing network that a prompt or
        an option names.
        """
        embeddings = tuple(self._catalog.embeddings())
        self._print(embeddings, options)
        missing: list[str] = []
        if not disabled:
            plan, missing = self._with_defaults(plan, options)
        made: dict[tuple[str, str], NetworksPlan] = {}

        def networks(prompt: str, field: str) -> NetworksPlan:
            key = prompt, field
            if key not in made:
                found = NetworksPlan() if disabled else self._found(prompt, field)
                made[key] = msgspec.structs.replace(
                    found,
                    comments=(*missing, *found.comments),
                    embeddings=embeddings,
                    strict=self._strict,
                    functional=options.flag("lora_functional"),
                )
            return made[key]

        batches: list[Plan] = []
        start = 0
        for batch in plan.batches:
            hires = batch.hires
            if hires is not None:
                own = plan.hires_prompts.positive[start]
                same = own == plan.prompts.positive[start]
                hires = msgspec.structs.replace(
                    hires, networks=networks(own, "prompt" if same else "hr_prompt")
                )
            first = networks(plan.prompts.positive[start], "prompt")
            batches.append(msgspec.structs.replace(batch, networks=first, hires=hires))
            start += batch.batch_size
        if options.flag("lora_not_found_warning_console"):
            for comment in dict.fromkeys(c for each in made.values() for c in each.comments):
                _log.warning("%s", comment)
        return msgspec.structs.replace(plan, batches=tuple(batches))

    def _print(self, embeddings: Sequence[Embedding], options: Options) -> None:
        """Log the names of all embeddings if they changed and the option is on."""
        if options.flag("textual_inversion_print_at_load") and embeddings != self._printed:
            names = ", ".join(sorted((each.name for each in embeddings), key=str.lower))
            _log.warning("%d embeddings: %s", len(embeddings), names)
        self._printed = embeddings

    def _with_defaults(self, plan: "JobPlan", options: Options) -> tuple["JobPlan", list[str]]:
        """The plan with tags for networks that options add to every prompt without them.

        Also returns comments on those that have no file. Raises `InvalidRequest` for one of these,
        naming the option, if strict.
        """
        prompts, second = plan.prompts, plan.hires_prompts
        multiplier = options.number("extra_networks_default_multiplier")
        missing: list[str] = []
        for kind, (what, option) in _BY_OPTION.items():
            name = options.text(option)
            if name in ("None", ""):
                continue
            if self._is_there(kind, name):
                tag = f"<{kind}:{name}:{multiplier}>"
                prompts, second = (_tagged(each, kind, name, tag) for each in (prompts, second))
            elif self._strict:
                raise InvalidRequest(option, f"{what} not found: {name}")
            else:
                missing.append(f"{what} of option {option} not found: {name}")
        return msgspec.structs.replace(plan, prompts=prompts, hires_prompts=second), missing

    def _is_there(self, kind: str, name: str) -> bool:
        """Whether a file has that name; refreshes the list if not. Aliases do not count."""
        if kind == "hypernet":
            return any(each.name == name for each in self._catalog.hypernetworks())
        if any(each.name == name for each in self._catalog.loras()):
            return True
        self._catalog.refresh_loras()
        return any(each.name == name for each in self._catalog.loras())

    def _found(self, prompt: str, field: str) -> NetworksPlan:
        _, tags = extract_networks(prompt)
        loras, missing_loras = self._loras(tags, field)
        hypernetworks, missing_hypernetworks = self._hypernetworks(tags, field)
        unknown = [tag.kind for tag in tags if tag.kind not in _KINDS]
        comments = [
            f"{what} not found: {', '.join(dict.fromkeys(names))}"
            for what, names in (("Lora", missing_loras), ("Hypernetwork", missing_hypernetworks))
            if names
        ]
        if comments and self._strict:
            raise InvalidRequest(field, "; ".join(comments))
        if unknown:
            comments.append(f"Unknown kind of network: {', '.join(dict.fromkeys(unknown))}")
        return NetworksPlan(loras=loras, hypernetworks=hypernetworks, comments=tuple(comments))

    def _loras(
        self, tags: Sequence[NetworkTag], field: str
    ) -> tuple[tuple[LoraPlan, ...], list[str]]:
        """The LoRAs of these tags, and the names of missing ones; refreshes the list first."""
        uses = lora_uses(tags, field)
        names = LoraNames(self._catalog.loras())
        if any(names.find(use.name) is None for use in uses):
            self._catalog.refresh_loras()
            names = LoraNames(self._catalog.loras())
        found = [(use, names.find(use.name)) for use in uses]
        return tuple(
            LoraPlan(
                name=use.name,
                path=lora.path,
                te=use.te,
                unet=use.unet,
                dyn=use.dyn,
                hash=lora.shorthash if self._hashing else None,
            )
            for use, lora in found
            if lora
        ), [use.name for use, lora in found if lora is None]

    def _hypernetworks(
        self, tags: Sequence[NetworkTag], field: str
    ) -> tuple[tuple[HypernetworkPlan, ...], list[str]]:
        uses = hypernet_uses(tags, field)
        files: Mapping[str, Hypernetwork] = (
            {each.name: each for each in self._catalog.hypernetworks()} if uses else {}
        )
        return tuple(
            HypernetworkPlan(name=use.name, path=files[use.name].path, multiplier=use.multiplier)
            for use in uses
            if use.name in files
        ), [use.name for use in uses if use.name not in files]

    def identified(self, plan: "JobPlan") -> "JobPlan":
        """The plan with every LoRA's hash, computed at its first use (seconds for a large file).

        Raises `NotFound` for a file that was removed.
        """
        if not self._hashing:
            return plan
        by_path = {each.path: each for each in self._catalog.loras()}

        def known(each: LoraPlan) -> LoraPlan:
            lora = by_path.get(each.path)
            if each.hash or lora is None:
                return each
            return msgspec.structs.replace(each, hash=self._catalog.hash_lora(lora).shorthash)

        def settled(each: Pass) -> NetworksPlan:
            loras = tuple(map(known, each.networks.loras))
            return msgspec.structs.replace(each.networks, loras=loras)

        def batch(each: Plan) -> Plan:
            hires: HiresPlan | None = each.hires and msgspec.structs.replace(
                each.hires, networks=settled(each.hires)
            )
            return msgspec.structs.replace(each, networks=settled(each), hires=hires)

        return msgspec.structs.replace(plan, batches=tuple(map(batch, plan.batches)))

    def facts(self, plan: Plan, rendered: Rendered, options: Options) -> dict[str, Extra]:
        """Infotext entries with the hashes of the networks that a batch used."""
        loras = {use.name: use.hash for each in plan.passes for use in each.networks.loras}
        facts = {
            "Lora hashes": format_hashes(loras.items()),
            "TI hashes": format_hashes(self._used(plan, rendered, options)),
        }
        wanted = {
            "Lora hashes": options.flag("lora_add_hashes_to_infotext"),
            "TI hashes": options.flag("textual_inversion_add_hashes_to_infotext"),
        }
        return {label: text for label, text in facts.items() if text and wanted[label]}

    def _used(
        self, plan: Plan, rendered: Rendered, options: Options
    ) -> list[tuple[str, str | None]]:
        """The embeddings that were used, each with its hash; a bundled one with its LoRA's name."""
        listed = {each.name: each for each in plan.networks.embeddings}
        bundled = options.flag("lora_bundled_ti_to_infotext")
        hashes: dict[str, str | None] = {
            each.name: (each.lora if bundled else None)
            if each.lora
            else self._hash(listed[each.name])
            for each in dict.fromkeys(rendered.embeddings)
        }
        return [(each.name, hashes[each.name]) for each in rendered.embeddings]

    def _hash(self, embedding: Embedding) -> str | None:
        return self._catalog.hash_embedding(embedding).shorthash if self._hashing else None

    def lora_named(self, shorthash: str, options: Options) -> str | None:
        """The name of the LoRA with that hash; None if it is missing, or not hashed yet."""
        loras = self._catalog.loras()
        found = next((each for each in loras if each.shorthash == shorthash), None)
        by_file = options.text("lora_preferred_name") == "Filename"
        return LoraNames(loras).preferred(found, by_file=by_file) if found else None


def comments_of(plan: Plan, rendered: Rendered) -> list[str]:
    """Comments on a batch and its networks, each once."""
    planned = [comment for each in plan.passes for comment in each.networks.comments]
    return list(dict.fromkeys([*plan.comments, *planned, *rendered.comments]))


def _tagged(prompts: Prompts, kind: str, name: str, tag: str) -> Prompts:
    """The prompts with the tag added to each, unless the first one names that network."""
    _, tags = extract_networks(prompts.positive[0])
    kinds = ("lora", "lyco") if kind == "lora" else (kind,)
    if any(each.kind in kinds and each.positional[:1] == (name,) for each in tags):
        return prompts
    return Prompts(tuple(prompt + tag for prompt in prompts.positive), prompts.negative)


class NoNetworks:
    """An empty `NetworkCatalog`."""

    def loras(self) -> Sequence[Lora]:
        return ()

    def refresh_loras(self) -> None:
        pass

    def hash_lora(self, lora: Lora) -> Lora:
        raise NotFound("LoRA", lora.name)

    def hypernetworks(self) -> Sequence[Hypernetwork]:
        return ()

    def embeddings(self) -> Sequence[Embedding]:
        return ()

    def refresh_embeddings(self) -> None:
        pass

    def hash_embedding(self, embedding: Embedding) -> Embedding:
        raise NotFound("embedding", embedding.name)

    def text_width(self, checkpoint: Checkpoint) -> int | None:
        return None
