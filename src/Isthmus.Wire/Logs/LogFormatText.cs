using System.Globalization;
using System.Text;
using Isthmus.Core.Problems;
using Isthmus.Wire.Cel;

namespace Isthmus.Wire.Logs;

/// <summary>A piece of a format: literal text, or one of Envoy's operators.</summary>
/// <param name="Literal">The text; empty for an operator.</param>
/// <param name="Operator">The name; empty for text.</param>
/// <param name="Argument">What is in parentheses.</param>
/// <param name="MaxLength">The longest value, in bytes; 0: any.</param>
public sealed record LogPart(string Literal, string Operator = "", string Argument = "", int MaxLength = 0);

/// <summary>Why a format cannot be used, in one line.</summary>
public sealed class LogFormatException(string message) : Exception(message);

/// <summary>Envoy's formats of access logs: text with <c>%OPERATORS%</c>. An operator that proxies do not have is an error, never a value that is always
/// missing.</summary>
public static class LogFormatText
{
    private enum Takes { Nothing, Field, Time, GrpcStyle, Name, MetadataPath, Expression }

    private static readonly Dictionary<string, Takes> Operators = new(StringComparer.Ordinal)
    {
        ["START_TIME"] = Takes.Time, ["EMIT_TIME"] = Takes.Time,
        ["REQ"] = Takes.Field, ["RESP"] = Takes.Field, ["TRAILER"] = Takes.Field, ["REQ_WITHOUT_QUERY"] = Takes.Field,
        ["GRPC_STATUS"] = Takes.GrpcStyle, ["GRPC_STATUS_NUMBER"] = Takes.Nothing,
        ["DYNAMIC_METADATA"] = Takes.MetadataPath, ["CEL"] = Takes.Expression, ["ENVIRONMENT"] = Takes.Name, ["HOSTNAME"] = Takes.Nothing,
        ["PROTOCOL"] = Takes.Nothing, ["RESPONSE_CODE"] = Takes.Nothing, ["RESPONSE_CODE_DETAILS"] = Takes.Nothing, ["RESPONSE_FLAGS"] = Takes.Nothing,
        ["RESPONSE_FLAGS_LONG"] = Takes.Nothing,
        ["CONNECTION_TERMINATION_DETAILS"] = Takes.Nothing, ["UPSTREAM_TRANSPORT_FAILURE_REASON"] = Takes.Nothing,
        ["BYTES_RECEIVED"] = Takes.Nothing, ["BYTES_SENT"] = Takes.Nothing, ["DURATION"] = Takes.Nothing, ["RESPONSE_DURATION"] = Takes.Nothing,
        ["RESPONSE_TX_DURATION"] = Takes.Nothing,
        ["UPSTREAM_HOST"] = Takes.Nothing, ["UPSTREAM_CLUSTER"] = Takes.Nothing, ["UPSTREAM_CLUSTER_RAW"] = Takes.Nothing,
        ["UPSTREAM_REQUEST_ATTEMPT_COUNT"] = Takes.Nothing,
        ["UPSTREAM_REMOTE_ADDRESS"] = Takes.Nothing, ["UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"] = Takes.Nothing, ["UPSTREAM_REMOTE_PORT"] = Takes.Nothing,
        ["UPSTREAM_LOCAL_ADDRESS"] = Takes.Nothing, ["UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT"] = Takes.Nothing, ["UPSTREAM_LOCAL_PORT"] = Takes.Nothing,
        ["DOWNSTREAM_LOCAL_ADDRESS"] = Takes.Nothing, ["DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT"] = Takes.Nothing, ["DOWNSTREAM_LOCAL_PORT"] = Takes.Nothing,
        ["DOWNSTREAM_REMOTE_ADDRESS"] = Takes.Nothing, ["DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"] = Takes.Nothing, ["DOWNSTREAM_REMOTE_PORT"] = Takes.Nothing,
        ["DOWNSTREAM_DIRECT_REMOTE_ADDRESS"] = Takes.Nothing, ["DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT"] = Takes.Nothing,
        ["DOWNSTREAM_DIRECT_REMOTE_PORT"] = Takes.Nothing,
        ["DOWNSTREAM_PEER_URI_SAN"] = Takes.Nothing, ["DOWNSTREAM_PEER_DNS_SAN"] = Takes.Nothing, ["DOWNSTREAM_PEER_SUBJECT"] = Takes.Nothing,
        ["DOWNSTREAM_PEER_FINGERPRINT_256"] = Takes.Nothing, ["DOWNSTREAM_LOCAL_URI_SAN"] = Takes.Nothing,
        ["UPSTREAM_PEER_URI_SAN"] = Takes.Nothing, ["UPSTREAM_PEER_DNS_SAN"] = Takes.Nothing, ["UPSTREAM_PEER_SUBJECT"] = Takes.Nothing,
        ["UPSTREAM_PEER_FINGERPRINT_256"] = Takes.Nothing,
        ["REQUESTED_SERVER_NAME"] = Takes.Nothing, ["ROUTE_NAME"] = Takes.Nothing, ["FILTER_CHAIN_NAME"] = Takes.Nothing,
    };

    /// <summary>The operators that proxies have.</summary>
    public static IEnumerable<string> Names => Operators.Keys;

    /// <exception cref="LogFormatException">An operator that proxies do not have, or one that is malformed.</exception>
    public static IReadOnlyList<LogPart> Parse(string text)
    {
        var parts = new List<LogPart>();
        var literal = new StringBuilder();
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != '%')
            {
                literal.Append(text[i]);
                continue;
            }
            if (i + 1 < text.Length && text[i + 1] == '%')
            {
                literal.Append('%');
                i++;
                continue;
            }
            var end = EndOf(text, i + 1);
            if (end < 0) throw new LogFormatException($"the '%' at {i} begins an operator that has no end");
            if (literal.Length > 0) parts.Add(new(literal.ToString()));
            literal.Clear();
            parts.Add(Operator(text[(i + 1)..end]));
            i = end;
        }
        if (literal.Length > 0) parts.Add(new(literal.ToString()));
        return parts;
    }

    /// <summary>Why a format cannot be used, in one line; null if it can be.</summary>
    public static string? Problem(string text)
    {
        try
        {
            Parse(text);
            return null;
        }
        catch (LogFormatException e)
        {
            return e.Message;
        }
    }

    private static int EndOf(string text, int from)
    {
        var depth = 0;
        for (var i = from; i < text.Length; i++)
        {
            if (text[i] == '(') depth++;
            else if (text[i] == ')') depth--;
            else if (text[i] == '%' && depth == 0) return i;
        }
        return -1;
    }

    private static LogPart Operator(string text)
    {
        var (open, close) = (text.IndexOf('(', StringComparison.Ordinal), text.LastIndexOf(')'));
        if (open >= 0 != close >= 0 || close < open) throw new LogFormatException($"%{text}% has unequal parentheses");
        var tail = close >= 0 ? text[(close + 1)..] : text.IndexOf(':', StringComparison.Ordinal) is >= 0 and var colon ? text[colon..] : "";
        var name = open >= 0 ? text[..open] : text[..^tail.Length];
        var argument = open >= 0 ? text[(open + 1)..close] : "";
        if (!Operators.TryGetValue(name, out var takes))
            throw new LogFormatException(
                $"%{name}% is not supported{(Spelling.Nearest(name, Operators.Keys) is { } near ? $" (did you mean %{near}%?)" : "")}");
        var most = 0;
        if (tail.Length > 0 && (tail[0] != ':' || !int.TryParse(tail.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out most)))
            throw new LogFormatException($"%{text}%: '{tail}' is not a length like :20");
        if (Why(takes, argument, open >= 0) is { } why) throw new LogFormatException($"%{text}%: {why}");
        return new("", name, argument, most);
    }

    private static string? Why(Takes takes, string argument, bool isGiven)
    {
        switch (takes)
        {
            case Takes.Nothing:
                return isGiven ? "the operator takes no argument" : null;
            case Takes.Field:
                return argument.Split('?', 2).All(name => name.Length > 0 && name.TrimStart(':').All(IsTokenCharacter))
                    ? null
                    : "needs the name of a header, or NAME?OTHER";
            case Takes.Time:
                return LogTimeFormat.Problem(argument);
            case Takes.GrpcStyle:
                return !isGiven || argument is "CAMEL_STRING" or "SNAKE_STRING" or "NUMBER" ? null : "must be CAMEL_STRING, SNAKE_STRING or NUMBER";
            case Takes.Expression:
                return TrafficExpression.Problem(argument, isCondition: false);
            default:
                return argument.Length > 0 ? null : "needs a name in parentheses";
        }
    }

    private static bool IsTokenCharacter(char c) => char.IsAsciiLetterOrDigit(c) || "!#$&'*+-.^_`|~".Contains(c, StringComparison.Ordinal);
}
