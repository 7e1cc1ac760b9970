using System.Text;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;

namespace Isthmus.Proxy.Own;

/// <summary>The plain HTTP protocol of external authorizers: a copy of the request's head; 200 allows it, and any other response is what
/// the client gets.</summary>
internal static class HttpAuthorizer
{
    private const string RemovedFields = "x-envoy-auth-headers-to-remove";

    public static (RequestHead Head, ReadOnlyMemory<byte> Body) Request(ExternalAuthorizer authorizer, ExternalCheck check, CheckedCall call)
    {
        var request = call.Facts.Request!;
        var head = new RequestHead { Method = request.Method, Version = HttpVersions.Http11, Authority = request.Authority };
        if (authorizer.Path.Length > 0) head.SetTarget(Encoding.UTF8.GetBytes(authorizer.Path));
        else head.SetTarget([.. Encoding.UTF8.GetBytes(authorizer.PathPrefix), .. request.Target]);
        for (var i = 0; i < request.Headers.Count; i++)
        {
            var name = Encoding.ASCII.GetString(request.Headers.Name(i));
            if (check.Withheld.Contains(name)) continue;
            if (name == "authorization" || check.Sent?.Contains(name) == true) head.Headers.Add(request.Headers.Name(i), request.Headers.Value(i));
        }
        if (call.Sends is not null) head.Headers.Set("x-envoy-auth-partial-body"u8, call.IsPart ? "true"u8 : "false"u8);
        foreach (var edit in authorizer.Added) head.Headers.Set(edit.Name, edit.Value);
        head.ContentLength = call.Body.Length;
        return (head, call.Body);
    }

    public static ExternalAnswer Read(ExternalAuthorizer authorizer, OwnAnswer answer)
    {
        var fields = answer.Head.Headers;
        // A server that fails has not decided.
        if (answer.Head.Status >= 500) return new(ExternalOutcome.Failed);
        if (answer.Head.Status != 200)
            return new(ExternalOutcome.Denied)
            {
                Status = answer.Head.Status, Body = answer.Body,
                ToClient = Fields(fields, name => authorizer.ToClientOnDeny is not { } list || name is "location" or "www-authenticate" || list.Contains(name))
            };
        var removed = fields.GetJoined(Encoding.ASCII.GetBytes(RemovedFields)) ?? "";
        return new(ExternalOutcome.Allowed)
        {
            ToUpstream = [.. Fields(fields, authorizer.ToUpstream.Contains),
                .. Fields(fields, authorizer.AppendedUpstream.Contains).Select(edit => edit with { Action = EditAction.Append })],
            ToClient = [.. Fields(fields, authorizer.ToClientOnAllow.Contains).Select(edit => edit with { Action = EditAction.Append })],
            Removed = [.. removed.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                .Select(name => Encoding.ASCII.GetBytes(name.ToLowerInvariant()))],
        };
    }

    /// <summary>Chosen fields. The first of a name replaces those that are there, and others follow it.</summary>
    private static List<HeaderEdit> Fields(HeaderBlock fields, Func<string, bool> choose)
    {
        var chosen = new List<HeaderEdit>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < fields.Count; i++)
        {
            var name = Encoding.ASCII.GetString(fields.Name(i));
            if (name is "date" or "server" or RemovedFields || !choose(name)) continue;
            chosen.Add(new(fields.Name(i).ToArray(), fields.Value(i).ToArray(), null,
                seen.Add(name) ? EditAction.Overwrite : EditAction.Append));
        }
        return chosen;
    }
}
