"""`xit completion`: what makes a shell complete what one types."""

import click
from click.shell_completion import get_completion_class

from exit.cli import console
from exit.cli.options import debug_option, manual

VARIABLE = "_XIT_COMPLETE"
"""By which a shell asks `xit` for completions."""


@click.command(
    epilog=manual(
        'eval "$(xit completion bash)"',
        "xit completion fish > ~/.config/fish/completions/xit.fish",
        reads="nothing",
        writes="the script to stdout",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@debug_option
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script by which SHELL completes commands, options, and names of games, configs and runs.

    The first example, in ~/.bashrc, completes in every new bash; zsh takes the same line in ~/.zshrc with
    its own name. Bash is to be of version 4.4 or newer.
    """
    found = get_completion_class(shell)
    assert found is not None, shell
    console.say(found(context.find_root().command, {}, "xit", VARIABLE).source())
