"""Make the recipes of an experiment's arms: the control of a recipe, its grey version, a recipe with settings changed.

What a recursion gains is told by its control alone: the same rounds, with the same seeds and as many steps of training,
in which no label is promoted and no image without a label teaches. The first round tells nothing, since another
training of the same network moves accuracies by points.
"""

import re

from catbuilder.core.errors import ConfigError
from catbuilder.core.recipe import Recipe, load_round_recipe
from catbuilder.core.settings import shorten

# A comma that begins another KEY=VALUE, and not one within a list.
_BETWEEN_CHANGES = re.compile(r",(?=\s*[A-Za-z_][\w.]*\s*=)")


def control_of(recipe: Recipe) -> Recipe:
    """Make the control of a recipe: the same training without promotion, under its name with `-control` added.

    It has `promotion.policy = "none"`. If images without a label teach, `teaching.source = "labelled"` puts labelled
    images in their place in each batch, so that both train for the same number of steps. All else is alike.

    Parameters
    ----------
    recipe : Recipe
        The recipe whose gain is to be measured.

    Returns
    -------
    Recipe
        Its control.

    Raises
    ------
    ConfigError
        The recipe neither promotes nor teaches, so it is its own control.

    Examples
    --------
    >>> catbuilder.control_of(catbuilder.load_recipe("real")).promotion.policy
    'none'
    """
    promotion = recipe.promotion.model_copy(update={"policy": "none"})
    teaching = recipe.teaching and recipe.teaching.model_copy(update={"source": "labelled"})
    if (promotion, teaching) == (recipe.promotion, recipe.teaching):
        raise ConfigError(
            f"recipe {recipe.name} promotes nothing and lets no image without a label teach, so there is nothing to "
            "measure; set promotion.policy, or give another recipe"
        )
    update = {"name": f"{recipe.name}-control", "promotion": promotion, "teaching": teaching}
    return recipe.model_copy(update=update)


def grey_version(recipe: Recipe) -> Recipe:
    """Change a recipe to grey images, under its name with `-grey` added.

    Raises
    ------
    ConfigError
        It has grey images already.
    """
    if recipe.network.grey:
        raise ConfigError(f"recipe {recipe.name} has network.grey = true already; give a recipe with colour images")
    network = recipe.network.model_copy(update={"grey": True})
    return recipe.model_copy(update={"name": f"{recipe.name}-grey", "network": network})


def load_arm(text: str) -> Recipe:
    """Read a recipe of an arm: a shipped name, a TOML file, or either with changes, as in `real:members=3`.

    Changed settings join the name, so that several arms of one recipe can be told apart.

    Raises
    ------
    ConfigError
        There is no such recipe, a setting is wrong, or it would have no effect on a round.
    """
    name, colon, changes = text.partition(":")
    if not colon or "=" not in changes:
        return load_round_recipe(text)
    if not name.strip():
        raise ConfigError(f"'{shorten(text)}' names no recipe; write NAME:KEY=VALUE, such as real:members=3")
    chosen = load_round_recipe(name, [change.strip() for change in _BETWEEN_CHANGES.split(changes)])
    return chosen.model_copy(update={"name": f"{chosen.name}:{changes}"})


def repeats_itself(recipe: Recipe) -> bool:
    """Whether every round of a control is the same computation: nothing promoted, taught or averaged, one stream."""
    alone = recipe.promotion.policy == "none" and recipe.teaching is None and recipe.speaking.model == "round"
    return alone and recipe.training.streams == "seed"
