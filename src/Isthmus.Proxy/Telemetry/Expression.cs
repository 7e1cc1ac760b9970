using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Messages;
using Isthmus.Wire.Cel;

namespace Isthmus.Proxy.Telemetry;

/// <summary>Expressions over records, built once. A part without a value (a missing field, a division by zero) makes what needs it have none, as
/// CEL's errors do. None of this creates objects per request.</summary>
internal static class Expression
{
    [ThreadStatic] private static ByteWriter? _scratch;

    private static ByteWriter Scratch => _scratch ??= new();

    /// <summary>A condition; what has no value is not true.</summary>
    /// <exception cref="ResourceException">The text is not an expression that can be evaluated here.</exception>
    public static Predicate<TrafficRecord> Condition(string text)
    {
        var truth = Truth(Parsed(text, TrafficExpression.ParseCondition));
        return record => truth(record) == true;
    }

    /// <summary>A value as text.</summary>
    /// <exception cref="ResourceException">The text is not an expression that can be evaluated here.</exception>
    public static LogValue Value(string text) => AsText(Parsed(text, TrafficExpression.Parse));

    private static CelTerm Parsed(string text, Func<string, CelTerm> parse)
    {
        try
        {
            return parse(text);
        }
        catch (CelSyntaxException e)
        {
            throw new ResourceException($"expression '{text}': {e.Summary}", e);
        }
        catch (CelUnsupportedException e)
        {
            throw new ResourceException($"expression '{text}': {e.Message} is not supported", e);
        }
    }

    private static Func<TrafficRecord, bool?> Truth(CelTerm term)
    {
        switch (term)
        {
            case CelConstant { Value: bool constant }:
                return _ => constant;
            case CelAttribute attribute:
                return TrafficAttributes.Truth(attribute.Name);
            case CelExists exists:
                return Exists(exists.Of);
        }
        var operation = (CelOperation)term;
        var operands = operation.Operands;
        switch (operation.Operator)
        {
            case "!":
                var not = Truth(operands[0]);
                return record => !not(record);
            case "&&":
                return Junction(Truth(operands[0]), Truth(operands[1]), false);
            case "||":
                return Junction(Truth(operands[0]), Truth(operands[1]), true);
            case "?":
                var (test, then, otherwise) = (Truth(operands[0]), Truth(operands[1]), Truth(operands[2]));
                return record => test(record) is { } holds ? holds ? then(record) : otherwise(record) : null;
            case "startsWith":
                return Texts(operands, static (left, right) => left.StartsWith(right));
            case "endsWith":
                return Texts(operands, static (left, right) => left.EndsWith(right));
            case "contains":
                return Texts(operands, static (left, right) => left.IndexOf(right) >= 0);
            case "matches":
                return Matches(Text(operands[0]), TextMatch.CompileRegex((string)((CelConstant)operands[1]).Value, whole: false));
            default:
                return Comparison(operation.Operator, operands);
        }
    }

    private static Func<TrafficRecord, bool?> Exists(CelTerm term)
    {
        if (term.Type is CelType.Texts) return static record => record.Request is not null;
        if (term.Type is CelType.Whole or CelType.Duration)
        {
            var whole = Whole(term);
            return record => whole(record) is not null;
        }
        if (term.Type is CelType.Truth)
        {
            var truth = Truth(term);
            return record => truth(record) is not null;
        }
        var text = Text(term);
        return record =>
        {
            var scratch = Scratch;
            var start = scratch.Length;
            var found = text(record, scratch);
            scratch.Truncate(start);
            return found;
        };
    }

    // A side without a value does not matter when the other one decides.
    private static Func<TrafficRecord, bool?> Junction(Func<TrafficRecord, bool?> left, Func<TrafficRecord, bool?> right, bool decisive) => record =>
    {
        var first = left(record);
        if (first == decisive) return decisive;
        var second = right(record);
        return second == decisive ? decisive : first is null ? null : second;
    };

    private static Func<TrafficRecord, bool?> Comparison(string op, IReadOnlyList<CelTerm> operands)
    {
        switch (operands[0].Type)
        {
            case CelType.Truth:
                var (first, second) = (Truth(operands[0]), Truth(operands[1]));
                return record => first(record) is { } a && second(record) is { } b ? (a == b) == (op == "==") : null;
            case CelType.Text when op is "==" or "!=":
                var equal = Texts(operands, static (left, right) => left.SequenceEqual(right));
                return op == "==" ? equal : record => !equal(record);
            case CelType.Text:
                var test = Test(op);
                return Texts(operands, (left, right) => test(left.SequenceCompareTo(right)));
            case CelType.Number:
                var (x, y) = (Number(operands[0]), Number(operands[1]));
                var number = Test(op);
                return record => x(record) is { } a && y(record) is { } b ? number(a.CompareTo(b)) : null;
            default:
                var (left, right) = (Whole(operands[0]), Whole(operands[1]));
                var whole = Test(op);
                return record => left(record) is { } a && right(record) is { } b ? whole(a.CompareTo(b)) : null;
        }
    }

    private static Func<int, bool> Test(string op) => op switch
    {
        "==" => static order => order == 0,
        "!=" => static order => order != 0,
        "<" => static order => order < 0,
        "<=" => static order => order <= 0,
        ">" => static order => order > 0,
        _ => static order => order >= 0,
    };

    private delegate bool TextTest(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right);

    private static Func<TrafficRecord, bool?> Texts(IReadOnlyList<CelTerm> operands, TextTest test)
    {
        var (left, right) = (Text(operands[0]), Text(operands[1]));
        return record =>
        {
            var scratch = Scratch;
            var start = scratch.Length;
            bool? answer = null;
            if (left(record, scratch))
            {
                var middle = scratch.Length;
                if (right(record, scratch))
                {
                    var written = scratch.Written.Span;
                    answer = test(written[start..middle], written[middle..]);
                }
            }
            scratch.Truncate(start);
            return answer;
        };
    }

    private static Func<TrafficRecord, bool?> Matches(LogValue text, Regex pattern) => record =>
    {
        const int Small = 512;
        var scratch = Scratch;
        var start = scratch.Length;
        bool? answer = null;
        if (text(record, scratch))
        {
            var bytes = scratch.Written.Span[start..];
            Span<char> chars = bytes.Length <= Small ? stackalloc char[Small] : new char[bytes.Length];
            answer = pattern.IsMatch(chars[..Encoding.UTF8.GetChars(bytes, chars)]);
        }
        scratch.Truncate(start);
        return answer;
    };

    /// <summary>Whole numbers, and durations in ticks.</summary>
    private static Func<TrafficRecord, long?> Whole(CelTerm term)
    {
        switch (term)
        {
            case CelConstant { Value: long constant }:
                return _ => constant;
            case CelConstant { Value: TimeSpan duration }:
                return _ => duration.Ticks;
            case CelAttribute attribute:
                return TrafficAttributes.Whole(attribute.Name);
        }
        var operation = (CelOperation)term;
        var operands = operation.Operands;
        switch (operation.Operator)
        {
            case "negate":
                var negated = Whole(operands[0]);
                return record => -negated(record);
            case "?":
                var (test, then, otherwise) = (Truth(operands[0]), Whole(operands[1]), Whole(operands[2]));
                return record => test(record) is { } holds ? holds ? then(record) : otherwise(record) : null;
            case "size":
                return Read(Text(operands[0]), static bytes => Encoding.UTF8.GetCharCount(bytes));
            case "int" when operands[0].Type == CelType.Text:
                return Read(Text(operands[0]),
                    static bytes => long.TryParse(bytes, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var parsed) ? parsed : null);
            case "int" when operands[0].Type == CelType.Number:
                var number = Number(operands[0]);
                return record => number(record) is { } value && Math.Abs(value) < 9e18 ? (long)value : null;
            case "int":
                return Whole(operands[0]);
        }
        var (left, right) = (Whole(operands[0]), Whole(operands[1]));
        return operation.Operator switch
        {
            "+" => record => left(record) + right(record),
            "-" => record => left(record) - right(record),
            "*" => record => left(record) * right(record),
            "/" => record => right(record) is { } by and not 0 and not -1 ? left(record) / by : right(record) == -1 ? -left(record) : null,
            _ => record => right(record) is { } by and not 0 ? by == -1 ? 0 : left(record) % by : null,
        };
    }

    private static Func<TrafficRecord, double?> Number(CelTerm term)
    {
        if (term is CelConstant { Value: double constant }) return _ => constant;
        var operation = (CelOperation)term;
        var operands = operation.Operands;
        switch (operation.Operator)
        {
            case "negate":
                var negated = Number(operands[0]);
                return record => -negated(record);
            case "?":
                var (test, then, otherwise) = (Truth(operands[0]), Number(operands[1]), Number(operands[2]));
                return record => test(record) is { } holds ? holds ? then(record) : otherwise(record) : null;
            case "double" when operands[0].Type == CelType.Text:
                return Read<double>(Text(operands[0]),
                    static bytes => double.TryParse(bytes, NumberStyles.Float, CultureInfo.InvariantCulture, out var parsed) ? parsed : null);
            case "double" when operands[0].Type == CelType.Whole:
                var whole = Whole(operands[0]);
                return record => whole(record);
            case "double":
                return Number(operands[0]);
        }
        var (left, right) = (Number(operands[0]), Number(operands[1]));
        return operation.Operator switch
        {
            "+" => record => left(record) + right(record),
            "-" => record => left(record) - right(record),
            "*" => record => left(record) * right(record),
            _ => record => left(record) / right(record),
        };
    }

    private delegate T? Reader<T>(ReadOnlySpan<byte> bytes) where T : struct;

    private static Func<TrafficRecord, long?> Read(LogValue text, Reader<long> read) => Read<long>(text, read);

    private static Func<TrafficRecord, T?> Read<T>(LogValue text, Reader<T> read) where T : struct => record =>
    {
        var scratch = Scratch;
        var start = scratch.Length;
        T? answer = text(record, scratch) ? read(scratch.Written.Span[start..]) : null;
        scratch.Truncate(start);
        return answer;
    };

    private static LogValue Text(CelTerm term)
    {
        switch (term)
        {
            case CelConstant { Value: string constant }:
                var bytes = Encoding.UTF8.GetBytes(constant);
                return (_, into) =>
                {
                    into.Write(bytes);
                    return true;
                };
            case CelAttribute attribute:
                return TrafficAttributes.Text(attribute.Name);
            case CelEntry entry:
                return LogValues.Find(entry.Of.Name switch { "request.headers" => "REQ", "response.headers" => "RESP", _ => "TRAILER" }, entry.Key);
        }
        var operands = ((CelOperation)term).Operands;
        switch (((CelOperation)term).Operator)
        {
            case "string":
                return AsText(operands[0]);
            case "?":
                var (test, then, otherwise) = (Truth(operands[0]), Text(operands[1]), Text(operands[2]));
                return (record, into) => test(record) is { } holds && (holds ? then(record, into) : otherwise(record, into));
            default: // +
                var (left, right) = (Text(operands[0]), Text(operands[1]));
                return (record, into) =>
                {
                    var start = into.Length;
                    if (left(record, into) && right(record, into)) return true;
                    into.Truncate(start);
                    return false;
                };
        }
    }

    private static LogValue AsText(CelTerm term)
    {
        switch (term.Type)
        {
            case CelType.Text:
                return Text(term);
            case CelType.Truth:
                var truth = Truth(term);
                return (record, into) =>
                {
                    if (truth(record) is not { } value) return false;
                    into.Write(value ? "true"u8 : "false"u8);
                    return true;
                };
            case CelType.Number:
                var number = Number(term);
                return (record, into) => number(record) is { } value && Write(value, into);
            case CelType.Duration:
                var ticks = Whole(term);
                return (record, into) =>
                {
                    if (ticks(record) is not { } value || !Write(TimeSpan.FromTicks(value).TotalSeconds, into)) return false;
                    into.Write("s"u8);
                    return true;
                };
            default:
                var whole = Whole(term);
                return (record, into) =>
                {
                    if (whole(record) is not { } value) return false;
                    into.WriteNumber(value);
                    return true;
                };
        }
    }

    private static bool Write(double value, ByteWriter into)
    {
        const int Longest = 32;
        value.TryFormat(into.Reserve(Longest), out var written, default, CultureInfo.InvariantCulture);
        into.Commit(written);
        return true;
    }
}
