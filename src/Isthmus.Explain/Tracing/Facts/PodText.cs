using System.Text.RegularExpressions;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>What Pods and kubelets say, as part of a sentence: they may say it at any length, and on several lines.</summary>
internal static partial class PodText
{
    private const int MostOfMessage = 300, MostOfCommand = 80;

    /// <summary>The beginning of a message, in which kubelets say what failed.</summary>
    public static string Message(string said) => Shorten(said, MostOfMessage);

    /// <summary>A command as a shell would take it.</summary>
    public static string Command(IEnumerable<string> parts) => Shorten(string.Join(' ', parts.Select(part =>
        part.Length > 0 && !Special().IsMatch(part) ? part : $"'{part.Replace("'", "'\\''", StringComparison.Ordinal)}'")), MostOfCommand);

    /// <summary>What a container runs.</summary>
    public static string Program(Container container) => container.Command.Count > 0 ? Command(container.Command.Concat(container.Args))
        : $"that of image {container.Image}{(container.Args.Count > 0 ? $", with {Command(container.Args)}" : "")}";

    private static string Shorten(string text, int most)
    {
        text = Space().Replace(text, " ").Trim();
        if (text.Length <= most) return text;
        // Not within a word, unless it is a very long one.
        var end = text.LastIndexOf(' ', most - 1, most / 4);
        return $"{text[..(end > 0 ? end : most - 1)].TrimEnd()}…";
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Space();

    [GeneratedRegex(@"[^\w./:=,@%+-]")]
    private static partial Regex Special();
}
