using System.Buffers.Text;
using System.Text;
using System.Text.Unicode;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Upstreams;

/// <summary>Applies the header edits of routes, and rewrites path and host.</summary>
internal static class HeaderEditing
{
    public static void Request(RequestHead request, HeaderEdits edits, TrafficRecord record)
    {
        if (edits.IsEmpty) return;
        // An enumerator of a list that is only an interface would be an object.
        for (var i = 0; i < edits.RequestRemove.Count; i++)
            if (!HeadRules.IsFixed(edits.RequestRemove[i])) request.Headers.Remove(edits.RequestRemove[i]);
        for (var i = 0; i < edits.Request.Count; i++)
        {
            var edit = edits.Request[i];
            if (edit.Name.AsSpan().SequenceEqual("host"u8) || edit.Name.AsSpan().SequenceEqual(":authority"u8))
                request.Authority = Checked(Encoding.UTF8.GetString(Value(edit, record)));
            else Apply(request.Headers, edit, record);
        }
    }

    public static void Response(ResponseHead response, HeaderEdits edits, TrafficRecord record)
    {
        if (edits.IsEmpty) return;
        for (var i = 0; i < edits.ResponseRemove.Count; i++)
            if (!HeadRules.IsFixed(edits.ResponseRemove[i])) response.Headers.Remove(edits.ResponseRemove[i]);
        for (var i = 0; i < edits.Response.Count; i++) Apply(response.Headers, edits.Response[i], record);
    }

    /// <summary>The path and host that the upstream sees.</summary>
    /// <param name="original">Keeps the path of the client, which the upstream is told, too; null: neither.</param>
    public static void Rewrite(RequestHead request, RouteSnapshot route, ForwardAct act, WeightedTarget target, TrafficRecord? original)
    {
        if (!request.IsConnect && RewritePath(request.Target, route.Path, act.PrefixRewrite, act.PathRewrite) is { } path)
        {
            if (original is not null)
            {
                original.OriginalPath = request.TargetText;
                request.Headers.Set("x-envoy-original-path"u8, request.Target);
            }
            request.SetTarget(path);
        }
        var host = target.HostRewrite ?? act.HostRewrite
            ?? (act.HostRewriteHeader is { } name ? request.Headers.GetString(Encoding.ASCII.GetBytes(name)) : null);
        if (host is null) return;
        if (act.AppendForwardedHost) request.Headers.Add("x-forwarded-host"u8, request.Authority);
        request.Authority = Checked(host);
    }

    /// <summary>A rewritten target with its query; null when nothing is rewritten.</summary>
    public static byte[]? RewritePath(ReadOnlySpan<byte> target, PathMatch match, string? prefix, RegexRewrite? regex)
    {
        if (prefix is null && regex is null) return null;
        var question = target.IndexOf((byte)'?');
        var path = question < 0 ? target : target[..question];
        var query = question < 0 ? default : target[question..];
        // Bytes that are not text match no pattern: they stay as they are.
        if (regex is not null && !Utf8.IsValid(path)) return null;
        if (regex is not null)
        {
            // Bytes that are no UTF-8 stay what they are.
            var encoding = Utf8.IsValid(path) ? Encoding.UTF8 : Encoding.Latin1;
            return [.. encoding.GetBytes(regex.Pattern.Replace(encoding.GetString(path), regex.Substitution)), .. query];
        }
        return [.. Encoding.UTF8.GetBytes(prefix!), .. path[Math.Min(path.Length, match.RewrittenLength(path))..], .. query];
    }

    // An outsider may have chosen it.
    private static string Checked(string authority) => HeadRules.IsAuthority(authority) ? authority : throw new HttpMessageException(400, "invalid_authority");

    private static void Apply(HeaderBlock headers, HeaderEdit edit, TrafficRecord record)
    {
        if (HeadRules.IsFixed(edit.Name)) return;
        var exists = headers.Contains(edit.Name);
        switch (edit.Action)
        {
            case EditAction.Append: headers.Add(edit.Name, Value(edit, record)); break;
            case EditAction.AddIfAbsent when !exists: headers.Add(edit.Name, Value(edit, record)); break;
            case EditAction.Overwrite: headers.Set(edit.Name, Value(edit, record)); break;
            case EditAction.OverwriteIfExists when exists: headers.Set(edit.Name, Value(edit, record)); break;
        }
    }

    private static byte[] Value(HeaderEdit edit, TrafficRecord record) => edit.Format is null ? edit.Value : edit.Format.Bytes(record);

    /// <summary>How long the upstream took to answer.</summary>
    public static void SetServiceTime(HeaderBlock headers, TimeSpan took)
    {
        Span<byte> number = stackalloc byte[20];
        Utf8Formatter.TryFormat((long)took.TotalMilliseconds, number, out var length);
        headers.Set("x-envoy-upstream-service-time"u8, number[..length]);
    }

    /// <summary>The number of an attempt, for <c>x-envoy-attempt-count</c>.</summary>
    public static ReadOnlySpan<byte> AttemptText(int attempt) => attempt switch
    {
        1 => "1"u8,
        2 => "2"u8,
        3 => "3"u8,
        4 => "4"u8,
        5 => "5"u8,
        _ => System.Text.Encoding.ASCII.GetBytes(attempt.ToString(System.Globalization.CultureInfo.InvariantCulture)),
    };
}
