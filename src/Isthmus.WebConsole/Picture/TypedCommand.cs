using System.Globalization;
using System.Text.RegularExpressions;
using Isthmus.WebConsole.Reading;

namespace Isthmus.WebConsole.Picture;

/// <summary>The command of a remedy, which can be typed as it stands.</summary>
internal static partial class TypedCommand
{
    /// <summary>A remedy is a command, or has one in quotation marks or after a colon; after it, words may follow. Empty: it has none, or one in which
    /// something is to be filled in.</summary>
    public static string In(string remedy)
    {
        var begin = Begin().Match(remedy);
        if (!begin.Success) return "";
        var text = remedy[begin.Groups[1].Index..];
        var command = (begin.Value.StartsWith('\'') ? text.Split('\'')[0] : Before(text)).Trim();
        return command.Contains(' ', StringComparison.Ordinal) && !Blank().IsMatch(command) ? command : "";
    }

    /// <summary>The trace of calls that fail, which says why; empty when their caller is no Pod, or the port is unknown.</summary>
    /// <param name="callers">Nodes that call.</param>
    public static string Trace(Flow failing, ServiceNode to, MeshState mesh, IEnumerable<ServiceNode> callers)
    {
        var caller = callers.FirstOrDefault(one => one.Id == failing.From);
        var port = mesh.Find(to.Cluster)?.Services.FirstOrDefault(one => one.Metadata.Namespace == to.Namespace && one.Metadata.Name == to.Name)
            ?.Spec.Ports.FirstOrDefault()?.Port;
        var scheme = failing.Protocol == "tcp" ? "tcp" : "http";
        return caller is not { Caller.Length: > 0 } || port is null ? "" : string.Create(CultureInfo.InvariantCulture,
            $"isthmus trace {caller.Caller} {scheme}://{to.Name}.{to.Namespace}:{port} --context={caller.Cluster} --no-call");
    }

    /// <summary>What comes before the words that follow a command: nothing in quotation marks is one of them.</summary>
    private static string Before(string text)
    {
        var quote = '\0';
        for (var at = 0; at < text.Length; at++)
        {
            if (quote == text[at]) quote = '\0';
            else if (quote == '\0' && text[at] is '\'' or '"') quote = text[at];
            else if (quote == '\0' && Words().Match(text, at) is { Success: true } words && words.Index == at) return text[..at];
        }
        return text;
    }

    [GeneratedRegex(@"(?:^|'|: )((?:isthmus|kubectl|istioctl|samples/\S+) )")]
    private static partial Regex Begin();

    [GeneratedRegex(@"\G(?:[,;:] | \(| (?:takes|shows|lists|says|tells) |\.?$)")]
    private static partial Regex Words();

    /// <summary>A word that stands for a name.</summary>
    [GeneratedRegex(@"(?:^|[\s=./])[A-Z]{2,}(?:$|[\s.:])|<[^<>\s]+>|…|\.\.\.")]
    private static partial Regex Blank();
}
