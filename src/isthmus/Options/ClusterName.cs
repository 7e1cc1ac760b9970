using System.CommandLine;
using Isthmus.Core.Flags;

namespace Isthmus.Options;

/// <summary>The cluster of a command of the lab: <c>--name</c>, <c>--cluster</c> or the name alone.</summary>
internal sealed class ClusterName
{
    private readonly Option<string?> _option;
    private readonly Argument<string?> _word = new("cluster") { Description = "Name of the cluster, in place of the flag", Arity = ArgumentArity.ZeroOrOne };

    /// <param name="name">The spelling that help shows first.</param>
    internal ClusterName(string name, string description) => _option = new(name, name == "--name" ? "--cluster" : "--name") { Description = description };

    internal void AddTo(Command command)
    {
        command.Options.Add(_option);
        command.Arguments.Add(_word);
    }

    internal string Of(ParseResult line) => (line.GetValue(_option), line.GetValue(_word)) switch
    {
        ({ Length: > 0 } name, null) => name,
        (null, { Length: > 0 } name) => name,
        (null or "", null or "") => throw new WrongUseException(_option.Name, "is required", $"specify the cluster, for example {_option.Name} cluster1"),
        var (one, other) => throw new WrongUseException(_option.Name, $"names '{one}', but the argument names '{other}'", "name one cluster only"),
    };
}
