using System.Text;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire.Envoy;

namespace Isthmus.Proxy.Policy;

/// <summary>Decodes what a configuration puts into heads: edits of fields, authorities, paths.</summary>
internal static class HeadDecoder
{
    /// <param name="notes">Gets a note of each edit that has no effect: framing is the proxy's own.</param>
    /// <exception cref="ResourceException">A name or a value that no field may have, or an edit of the host.</exception>
    public static HeaderEdits Edits(
        IEnumerable<HeaderValueOption> requestAdd, IEnumerable<string> requestRemove, IEnumerable<HeaderValueOption> responseAdd,
        IEnumerable<string> responseRemove, List<string> notes)
    {
        var edits = new HeaderEdits(Added(requestAdd, notes), Removed(requestRemove, notes), Added(responseAdd, notes), Removed(responseRemove, notes));
        return edits.IsEmpty ? HeaderEdits.None : edits;
    }

    /// <summary>A host with or without a port; null when there is none.</summary>
    /// <exception cref="ResourceException">It is not one.</exception>
    public static string? Authority(string text, string field) =>
        text.Length == 0 ? null : HeadRules.IsAuthority(text) ? text : throw new ResourceException($"{field}: '{Shown(text)}' is not a host");

    /// <summary>A part of a path or location; null when there is none.</summary>
    /// <exception cref="ResourceException">It has characters that none may have.</exception>
    public static string? Path(string text, string field) =>
        text.Length == 0 ? null : HeadRules.IsPath(text) ? text : throw new ResourceException($"{field}: '{Shown(text)}' has spaces or control characters");

    /// <summary>The lower-case name of a field.</summary>
    /// <exception cref="ResourceException">It is not one.</exception>
    public static byte[] Name(string name) =>
        HeadRules.IsToken(name)
            ? Encoding.ASCII.GetBytes(name.ToLowerInvariant())
            : throw new ResourceException($"'{Shown(name)}' is not the name of a header");

    private static List<HeaderEdit> Added(IEnumerable<HeaderValueOption> options, List<string> notes)
    {
        var edits = new List<HeaderEdit>();
        foreach (var option in options)
            if (MayChange(option.Header?.Key ?? "", "modified", notes)) edits.Add(Edit(option));
        return edits;
    }

    private static List<byte[]> Removed(IEnumerable<string> names, List<string> notes) =>
        [.. names.Where(name => MayChange(name, "removed", notes)).Select(Name)];

    // What Envoy refuses, too, is refused; what Istio's control plane sends is only ignored.
    private static bool MayChange(string name, string what, List<string> notes)
    {
        if (name.StartsWith(':') || name.Equals("host", StringComparison.OrdinalIgnoreCase))
            throw new ResourceException($":-prefixed or host headers may not be {what}");
        if (!HeadRules.IsFixed(Name(name))) return true;
        notes.Add($"the header {name.ToLowerInvariant()} is not {what}: it belongs to the framing of messages");
        return false;
    }

    private static HeaderEdit Edit(HeaderValueOption option)
    {
        var bytes = option.Header.Value.Length > 0 ? Encoding.UTF8.GetBytes(option.Header.Value) : option.Header.RawValue.ToByteArray();
        if (!HeadRules.IsValue(bytes)) throw new ResourceException($"the value of the header {option.Header.Key} has control characters");
        var action = option.Append is { } append
            ? append ? EditAction.Append : EditAction.Overwrite
            : option.AppendAction switch
            {
                HeaderValueOption.Types.HeaderAppendAction.AddIfAbsent => EditAction.AddIfAbsent,
                HeaderValueOption.Types.HeaderAppendAction.OverwriteIfExistsOrAdd => EditAction.Overwrite,
                HeaderValueOption.Types.HeaderAppendAction.OverwriteIfExists => EditAction.OverwriteIfExists,
                _ => EditAction.Append,
            };
        var format = bytes.AsSpan().Contains((byte)'%') ? LogFormat.ParseText(Encoding.UTF8.GetString(bytes)) : null;
        return new(Name(option.Header.Key), bytes, format, action);
    }

    private static string Shown(string text) => string.Concat(text.Select(c => char.IsControl(c) ? $"\\u{(int)c:x4}" : $"{c}"));
}
