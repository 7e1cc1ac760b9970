using System.CommandLine;
using Isthmus.Options;

namespace Isthmus.Commands;

/// <summary>
/// <c>isthmus completion SHELL</c>: a script that has the shell ask this program what may follow, by the directive <c>[suggest:POSITION]</c>.
/// The position counts from the beginning of the line, with the program's name as the first word.
/// </summary>
internal static class CompletionCommand
{
    private const string Bash = """
        # To use it now: source <(NAME completion bash)
        _NAME() {
            local called=${COMP_WORDS[0]}
            local rest=${COMP_LINE#*"$called"}
            local IFS=$'\n'
            COMPREPLY=($(compgen -W "$("$called" "[suggest:$((COMP_POINT - ${#called} + 7))]" "isthmus$rest" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
        }
        complete -o default -F _NAME NAME
        """;

    private const string Zsh = """
        #compdef NAME
        # To use it now: source <(NAME completion zsh)
        _NAME() {
            local called=${words[1]}
            local typed="isthmus ${(j: :)words[2,CURRENT]}"
            local -a found
            found=(${(f)"$("$called" "[suggest:${#typed}]" "$typed" 2>/dev/null)"})
            compadd -- $found || _files
        }
        compdef _NAME NAME
        """;

    private const string Fish = """
        # To use it now: NAME completion fish | source
        function _NAME
            set -l called (commandline -opc)
            set -l typed isthmus $called[2..-1] (commandline -ct)
            set -l line (string join ' ' -- $typed)
            $called[1] "[suggest:"(string length -- "$line")"]" "$line" 2>/dev/null
        end
        complete -c NAME -a '(_NAME)'
        """;

    private const string PowerShell = """
        # To use it now: NAME completion powershell | Out-String | Invoke-Expression
        Register-ArgumentCompleter -Native -CommandName 'NAME' -ScriptBlock {
            param($wordToComplete, $commandAst, $cursorPosition)
            $called = $commandAst.CommandElements[0].Extent.Text
            $typed = 'isthmus' + $commandAst.ToString().Substring($called.Length)
            # The tree of the command ends before a space that was typed last.
            $typed = $typed.PadRight($cursorPosition - $commandAst.Extent.StartOffset - $called.Length + 7)
            & $called "[suggest:$($typed.Length)]" $typed 2>$null | Where-Object { $_ -like "$wordToComplete*" } | ForEach-Object {
                [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
            }
        }
        """;

    private static readonly (string Shell, string Script)[] Scripts = [("bash", Bash), ("zsh", Zsh), ("fish", Fish), ("powershell", PowerShell)];

    internal static bool IsAsked(string[] args) => args is [['[', 's', 'u', 'g', 'g', 'e', 's', 't', ..], ..];

    internal static Command Build()
    {
        var command = new Command("completion", "Print a shell completion script.");
        foreach (var (shell, script) in Scripts)
        {
            var one = new Command(shell, $"Print the completion script for {shell}.");
            one.SetAction(line => line.InvocationConfiguration.Output.WriteLine(Script(script, ProgramName.Current)));
            command.Subcommands.Add(one);
        }
        return command;
    }

    private static string Script(string script, string name) => script.Replace("NAME", name, StringComparison.Ordinal);
}
