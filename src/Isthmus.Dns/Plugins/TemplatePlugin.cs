using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using Isthmus.Core.Collections;
using Isthmus.Dns.Config;
using Isthmus.Dns.Zones;
using Isthmus.Wire.Dns;

namespace Isthmus.Dns.Plugins;

/// <summary>Answers made of a pattern: <c>{{ .Name }}</c>, <c>{{ .Match.1 }}</c>, <c>{{ .Group.name }}</c> in records as
/// zone files write them.</summary>
internal sealed partial class TemplatePlugin
{
    private static readonly TimeSpan MatchLimit = TimeSpan.FromMilliseconds(50);

    private readonly TemplatePlan _plan;
    private readonly DnsHandler _next;
    private readonly List<Regex> _matches;
    private readonly DnsCode _code;

    /// <exception cref="CorefileException">A pattern or code is invalid.</exception>
    internal TemplatePlugin(TemplatePlan plan, string source, DnsHandler next)
    {
        (_plan, _next) = (plan, next);
        try
        {
            _matches = [.. plan.Matches.Select(pattern => new Regex(pattern.Replace("(?P<", "(?<", StringComparison.Ordinal),
                RegexOptions.NonBacktracking | RegexOptions.CultureInvariant, MatchLimit))];
        }
        catch (ArgumentException e)
        {
            throw new CorefileException(source, plan.Line, $"template: {e.Message}");
        }
        _code = plan.Code?.ToUpperInvariant() switch
        {
            null or "NOERROR" => DnsCode.NoError,
            "NXDOMAIN" => DnsCode.NameError,
            "SERVFAIL" => DnsCode.ServerFailure,
            "REFUSED" => DnsCode.Refused,
            var other => throw new CorefileException(source, plan.Line, $"template: '{other}' is not NOERROR, NXDOMAIN, SERVFAIL or REFUSED"),
        };
    }

    internal ValueTask<DnsReply> AnswerAsync(DnsQuery query, CancellationToken stop)
    {
        if (Zone.Match(_plan.Zones, query.Name) is not { } zone
            || (_plan.Type != "ANY" && !_plan.Type.Equals(query.Type.ToString(), StringComparison.OrdinalIgnoreCase)))
            return _next(query, stop);
        var match = Match.Empty;
        if (_matches.Count > 0)
        {
            match = _matches.Select(pattern => pattern.Match(query.Name + ".")).FirstOrDefault(found => found.Success) ?? Match.Empty;
            if (!match.Success)
                return _plan.Fallthrough is { } through && (through.IsEmpty || Zone.Match(through, query.Name) is not null)
                    ? _next(query, stop) : new(Replies.Failure(query, DnsCode.NameError));
        }
        var answers = _plan.Answers.Select(answer => ZoneLine(Fill(answer, query, match, zone))).OfType<DnsRecord>();
        return new(new DnsReply(Replies.Authoritative(query, _code, answers, zone, 60), Local: true));
    }

    private static string Fill(string answer, DnsQuery query, Match match, string zone) => Placeholder().Replace(answer, found => found.Groups[1].Value switch
    {
        "Name" => query.Question.Name + ".",
        "Zone" => zone + ".",
        "Type" => query.Type.ToString().ToUpperInvariant(),
        "Class" => "IN",
        var name when name.StartsWith("Match.", StringComparison.Ordinal) => match.Groups[name[6..]].Value,
        var name when name.StartsWith("Group.", StringComparison.Ordinal) => match.Groups[name[6..]].Value,
        _ => "",
    });

    [GeneratedRegex(@"\{\{\s*\.([A-Za-z0-9_.]+)\s*\}\}")]
    private static partial Regex Placeholder();

    /// <summary>Reads <c>NAME [TTL] IN TYPE VALUE</c>; null when the type is not supported.</summary>
    internal static DnsRecord? ZoneLine(string line)
    {
        var words = line.Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries).ToList();
        if (words.Count < 3 || CorefileValues.Zone(words[0]) is null) return null;
        var (name, ttl, at) = (words[0].TrimEnd('.'), 60u, 1);
        if (uint.TryParse(words[at], NumberStyles.None, CultureInfo.InvariantCulture, out var given)) (ttl, at) = (given, at + 1);
        if (words[at] == "IN") at++;
        if (at + 1 >= words.Count) return null;
        var value = words[at + 1];
        DnsContent? content = words[at].ToUpperInvariant() switch
        {
            "A" or "AAAA" when IPAddress.TryParse(value, out var address) => new AddressContent(address),
            "CNAME" when CorefileValues.Zone(value) is not null => new NameContent(DnsType.CNAME, value.TrimEnd('.')),
            "PTR" when CorefileValues.Zone(value) is not null => new NameContent(DnsType.PTR, value.TrimEnd('.')),
            "TXT" => new TextContent([string.Join(' ', words.Skip(at + 1)).Trim('"')]),
            _ => null,
        };
        return content is null ? null : new(name, ttl, content);
    }
}
