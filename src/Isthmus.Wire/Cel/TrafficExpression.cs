using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Core.Time;

namespace Isthmus.Wire.Cel;

/// <summary>
/// Expressions over Envoy's attributes of requests and connections: those that select what is logged, and the values of tags. Of CEL, they have
/// operators, <c>has</c>, lists after <c>in</c>, and the functions below, but no loops. What they refer to is known beforehand, so types are
/// checked here and never at a request.
/// </summary>
public static class TrafficExpression
{

    private static readonly Dictionary<string, int> Functions = new(StringComparer.Ordinal)
    {
        ["size"] = 1, ["startsWith"] = 2, ["endsWith"] = 2, ["contains"] = 2, ["matches"] = 2, ["int"] = 1, ["double"] = 1, ["string"] = 1, ["duration"] = 1,
    };

    /// <summary>The attributes, and what they are.</summary>
    public static IReadOnlyDictionary<string, CelType> Attributes { get; } = new Dictionary<string, CelType>(StringComparer.Ordinal)
    {
        ["request.path"] = CelType.Text, ["request.url_path"] = CelType.Text, ["request.query"] = CelType.Text, ["request.host"] = CelType.Text,
        ["request.scheme"] = CelType.Text,
        ["request.method"] = CelType.Text, ["request.protocol"] = CelType.Text, ["request.referer"] = CelType.Text, ["request.useragent"] = CelType.Text,
        ["request.id"] = CelType.Text,
        ["request.headers"] = CelType.Texts, ["request.size"] = CelType.Whole, ["request.duration"] = CelType.Duration,
        ["response.code"] = CelType.Whole, ["response.code_details"] = CelType.Text, ["response.flags"] = CelType.Whole,
        ["response.grpc_status"] = CelType.Whole,
        ["response.headers"] = CelType.Texts, ["response.trailers"] = CelType.Texts, ["response.size"] = CelType.Whole,
        ["source.address"] = CelType.Text, ["source.port"] = CelType.Whole, ["destination.address"] = CelType.Text, ["destination.port"] = CelType.Whole,
        ["connection.mtls"] = CelType.Truth, ["connection.requested_server_name"] = CelType.Text, ["connection.termination_details"] = CelType.Text,
        ["connection.uri_san_peer_certificate"] = CelType.Text, ["connection.dns_san_peer_certificate"] = CelType.Text,
        ["connection.subject_peer_certificate"] = CelType.Text, ["connection.sha256_peer_certificate_digest"] = CelType.Text,
        ["upstream.address"] = CelType.Text, ["upstream.port"] = CelType.Whole, ["upstream.local_address"] = CelType.Text,
        ["upstream.transport_failure_reason"] = CelType.Text,
        ["upstream.uri_san_peer_certificate"] = CelType.Text, ["upstream.dns_san_peer_certificate"] = CelType.Text,
        ["upstream.subject_peer_certificate"] = CelType.Text, ["upstream.sha256_peer_certificate_digest"] = CelType.Text,
        ["upstream.request_attempt_count"] = CelType.Whole,
        ["xds.cluster_name"] = CelType.Text, ["xds.route_name"] = CelType.Text, ["xds.filter_chain_name"] = CelType.Text,
    };

    /// <exception cref="CelSyntaxException">The text is not CEL.</exception>
    /// <exception cref="CelUnsupportedException">Its types do not fit, or it uses something that is not known here.</exception>
    public static CelTerm Parse(string text)
    {
        var term = Term(CelParser.Parse(text, static (name, count) => Functions.TryGetValue(name, out var known) && known == count));
        return term.Type == CelType.Texts ? throw new CelUnsupportedException("header fields as a value") : term;
    }

    /// <summary>As <see cref="Parse"/>, for an expression that is true or false.</summary>
    public static CelTerm ParseCondition(string text) => Parse(text) is { Type: CelType.Truth } condition ? condition
        : throw new CelUnsupportedException("an expression that is neither true nor false");

    /// <summary>Why an expression cannot be used, in one line; null if it can be.</summary>
    public static string? Problem(string text, bool isCondition)
    {
        try
        {
            _ = isCondition ? ParseCondition(text) : Parse(text);
            return null;
        }
        catch (CelSyntaxException e)
        {
            return e.Summary;
        }
        catch (CelUnsupportedException e)
        {
            return $"{e.Message} is not supported";
        }
    }

    private static CelTerm Term(CelNode node) => node switch
    {
        CelLiteral { Value: bool truth } => new CelConstant(CelType.Truth, truth),
        CelLiteral { Value: long whole } => new CelConstant(CelType.Whole, whole),
        CelLiteral { Value: double number } => new CelConstant(CelType.Number, number),
        CelLiteral { Value: string text } => new CelConstant(CelType.Text, text),
        CelLiteral => throw new CelUnsupportedException("null"),
        CelVariable or CelField or CelIndex => Attribute(node),
        CelHas has => new CelExists(Attribute(has.Field)),
        CelNot not => Operation("!", CelType.Truth, Truth(not.Of)),
        CelMinus minus => Term(minus.Of) is { Type: CelType.Whole or CelType.Number } number
            ? Operation("negate", number.Type, number)
            : throw new CelUnsupportedException("- before a value that is not a number"),
        CelChoice choice => Choice(Truth(choice.Test), Term(choice.Then), Term(choice.Else)),
        CelBinary { Operator: "&&" or "||" } junction => Operation(junction.Operator, CelType.Truth, Truth(junction.Left), Truth(junction.Right)),
        CelBinary { Operator: "in" } search => In(Term(search.Left), search.Right),
        CelBinary binary => Binary(binary.Operator, Term(binary.Left), Term(binary.Right)),
        CelCall call => Call(call.Name, [.. call.Arguments.Select(Term)]),
        CelLoop loop => throw new CelUnsupportedException($"the macro {loop.Kind}"),
        CelPairLoop loop => throw new CelUnsupportedException($"the macro {loop.Kind}"),
        CelMap => throw new CelUnsupportedException("a map"),
        CelOptional => throw new CelUnsupportedException("optional values"),
        _ => throw new CelUnsupportedException("a list that does not follow 'in'"),
    };

    private static CelTerm Truth(CelNode node) =>
        Term(node) is { Type: CelType.Truth } truth ? truth : throw new CelUnsupportedException("a condition that is neither true nor false");

    private static CelOperation Operation(string name, CelType type, params CelTerm[] operands) => new(name, type, operands);

    private static CelTerm Attribute(CelNode node)
    {
        if (Path(node) is not { } path) throw new CelUnsupportedException("a field of a value that is not an attribute");
        if (Attributes.TryGetValue(path, out var type)) return new CelAttribute(path, type);
        var (on, key) = node switch
        {
            CelField field => (field.On, field.Name),
            CelIndex { Key: CelLiteral { Value: string text } } index => (index.On, text),
            _ => (null, ""),
        };
        if (on is not null && Path(on) is { } map && Attributes.TryGetValue(map, out type) && type == CelType.Texts)
            return new CelEntry(new(map, type), key.ToLowerInvariant());
        throw new CelUnsupportedException($"the attribute {path}{(Spelling.Nearest(path, Attributes.Keys) is { } near ? $" (did you mean {near}?)" : "")}");
    }

    /// <summary>The name that an attribute would have; <c>a['b']</c> is <c>a.b</c>.</summary>
    private static string? Path(CelNode node) => node switch
    {
        CelVariable variable => variable.Name,
        CelField field => Path(field.On) is { } on ? $"{on}.{field.Name}" : null,
        CelIndex { Key: CelLiteral { Value: string key } } index => Path(index.On) is { } on ? $"{on}.{key}" : null,
        CelIndex => throw new CelUnsupportedException("an index that is not a text"),
        _ => null,
    };

    private static CelTerm In(CelTerm item, CelNode holder)
    {
        if (holder is not CelList list)
        {
            return item is CelConstant { Value: string key } && Attribute(holder) is CelAttribute { Type: CelType.Texts } fields
                ? new CelExists(new CelEntry(fields, key.ToLowerInvariant()))
                : throw new CelUnsupportedException("'in' with anything but a list, or a name in header fields");
        }
        return list.Items.Select(Term).Select(other => Binary("==", item, other))
            .Aggregate((CelTerm)new CelConstant(CelType.Truth, false), (all, one) => Operation("||", CelType.Truth, all, one));
    }

    private static CelTerm Choice(CelTerm test, CelTerm then, CelTerm otherwise) =>
        then.Type == otherwise.Type ? Operation("?", then.Type, test, then, otherwise) : throw new CelUnsupportedException("?: with values of different types");

    private static CelOperation Binary(string op, CelTerm left, CelTerm right)
    {
        // Whole numbers and others compare by value.
        if (left.Type == CelType.Whole && right.Type == CelType.Number) left = Operation("double", CelType.Number, left);
        if (left.Type == CelType.Number && right.Type == CelType.Whole) right = Operation("double", CelType.Number, right);
        var type = left.Type;
        if (type == right.Type)
        {
            switch (op)
            {
                case "==" or "!=" when type != CelType.Texts:
                case "<" or "<=" or ">" or ">=" when type is not (CelType.Truth or CelType.Texts):
                    return Operation(op, CelType.Truth, left, right);
                case "+" when type == CelType.Text:
                case "+" or "-" when type is CelType.Whole or CelType.Number or CelType.Duration:
                case "*" or "/" when type is CelType.Whole or CelType.Number:
                case "%" when type == CelType.Whole:
                    return Operation(op, type, left, right);
            }
        }
        throw new CelUnsupportedException($"{op} between {Name(left.Type)} and {Name(right.Type)}");
    }

    private static CelTerm Call(string name, CelTerm[] operands)
    {
        var type = operands[0].Type;
        switch (name)
        {
            case "size" when type == CelType.Text:
            case "int" when type is CelType.Whole or CelType.Number or CelType.Text:
                return Operation(name, CelType.Whole, operands);
            case "double" when type is CelType.Whole or CelType.Number or CelType.Text:
                return Operation(name, CelType.Number, operands);
            case "string" when type is not CelType.Texts:
                return Operation(name, CelType.Text, operands);
            case "startsWith" or "endsWith" or "contains" when type == CelType.Text && operands[1].Type == CelType.Text:
                return Operation(name, CelType.Truth, operands);
            case "matches" when type == CelType.Text && operands[1] is CelConstant { Value: string pattern }:
                Check(pattern);
                return Operation(name, CelType.Truth, operands);
            case "duration" when operands[0] is CelConstant { Value: string text } && Durations.TryParse(text, out var duration):
                return new CelConstant(CelType.Duration, duration);
            default:
                var types = operands.Select(operand => operand is CelConstant ? "a constant " + Name(operand.Type) : Name(operand.Type));
                throw new CelUnsupportedException($"{name}({string.Join(", ", types)})");
        }
    }

    private static void Check(string pattern)
    {
        if (LinearRegex.Fault(pattern) is not null) throw new CelUnsupportedException($"the regular expression '{pattern}'");
    }

    private static string Name(CelType type) => type switch
    {
        CelType.Truth => "bool", CelType.Whole => "int", CelType.Number => "double", CelType.Text => "string", CelType.Duration => "duration", _ => "map",
    };
}
