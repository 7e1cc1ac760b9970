using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Messages;
using Isthmus.Wire.Logs;

namespace Isthmus.Proxy.Telemetry;

/// <summary>An access log format, parsed once: literal text and Envoy's <c>%OPERATORS%</c>.</summary>
internal sealed class LogFormat
{
    private readonly Piece[] _pieces;
    private readonly (byte[] Key, LogFormat Value)[]? _fields;
    private readonly int _newline;
    private readonly bool _omitsEmpty;

    [ThreadStatic] private static ByteWriter? _scratch;

    /// <summary>Literal bytes, or the value of an operator.</summary>
    private sealed record Piece(byte[] Literal, LogValue? Value, bool IsNumber, int MaxLength);

    private LogFormat(Piece[] pieces, (byte[], LogFormat)[]? fields, bool omitsEmpty)
    {
        _omitsEmpty = omitsEmpty;
        _pieces = pieces;
        _fields = fields;
        _newline = pieces is [.., { Literal: [.., (byte)'\n'] }] ? 1 : 0;
    }

    /// <param name="text">The format.</param>
    /// <param name="omitsEmpty">What is missing is written as nothing, not as <c>-</c>.</param>
    /// <exception cref="ResourceException">An operator that this proxy does not have, or one that is malformed.</exception>
    public static LogFormat ParseText(string text, bool omitsEmpty = false)
    {
        try
        {
            return new([.. LogFormatText.Parse(text).Select(part => part.Operator.Length == 0
                ? new Piece(Encoding.UTF8.GetBytes(part.Literal), null, false, 0)
                : new Piece([], LogValues.Find(part.Operator, part.Argument), LogValues.IsNumber(part.Operator), part.MaxLength))], null, omitsEmpty);
        }
        catch (LogFormatException e)
        {
            throw new ResourceException($"access log format: {e.Message}", e);
        }
    }

    /// <summary>One JSON object per line; nested objects are not supported and are written as text.</summary>
    /// <param name="fields">The format of each field.</param>
    /// <param name="omitsEmpty">Fields without a value are left out; otherwise they are null.</param>
    /// <exception cref="ResourceException">As for <see cref="ParseText"/>.</exception>
    public static LogFormat ParseJson(Struct fields, bool omitsEmpty = false) => new([], [.. fields.Fields.OrderBy(f => f.Key, StringComparer.Ordinal)
        .Select(f => (Encoding.UTF8.GetBytes($"\"{JsonEncodedText.Encode(f.Key)}\":"),
            ParseText(f.Value.KindCase == Value.KindOneofCase.StringValue ? f.Value.StringValue : f.Value.ToString(), omitsEmpty)))], omitsEmpty);

    /// <summary>Writes a line. What clients and hosts choose stays on it: as text, controls and bytes that are no UTF-8 are written like <c>\x1b</c>.</summary>
    public void Write(TrafficRecord record, ByteWriter into)
    {
        if (_fields is null)
        {
            WriteText(record, into);
            return;
        }
        into.Write("{"u8);
        var isFirst = true;
        foreach (var (key, value) in _fields)
        {
            var start = into.Length;
            if (!isFirst) into.Write(","u8);
            into.Write(key);
            if (WriteJson(value, record, into) || !_omitsEmpty) isFirst = false;
            else into.Truncate(start);
        }
        into.Write("}\n"u8);
    }

    public string Format(TrafficRecord record) => Encoding.UTF8.GetString(Bytes(record));

    /// <summary>The value as it is: what a client sent keeps its bytes, also those that are no UTF-8.</summary>
    public byte[] Bytes(TrafficRecord record)
    {
        using var text = new ByteWriter();
        if (_fields is null) WriteRaw(record, text);
        else Write(record, text);
        return text.Written.ToArray();
    }

    // Nearly all lines have nothing to escape, which one look at the whole line tells.
    private void WriteText(TrafficRecord record, ByteWriter into)
    {
        var line = into.Length;
        WriteRaw(record, into);
        if (VisibleBytes.ArePrintable(into.Written.Span[line..^_newline])) return;
        into.Truncate(line);
        foreach (var piece in _pieces)
        {
            var start = into.Length;
            if (piece.Value is null) into.Write(piece.Literal);
            else if (TryWrite(piece, record, into)) VisibleBytes.Escape(into, start);
            else if (!_omitsEmpty) into.Write("-"u8);
        }
    }

    /// <summary>For a format that escapes by itself.</summary>
    private void WriteRaw(TrafficRecord record, ByteWriter into)
    {
        foreach (var piece in _pieces)
        {
            if (piece.Value is null) into.Write(piece.Literal);
            else if (!TryWrite(piece, record, into) && !_omitsEmpty) into.Write("-"u8);
        }
    }

    private static bool TryWrite(Piece piece, TrafficRecord record, ByteWriter into)
    {
        var start = into.Length;
        if (!piece.Value!(record, into)) return false;
        if (piece.MaxLength > 0 && into.Length > start + piece.MaxLength) into.Truncate(Utf8Cut.At(into.Written.Span, start + piece.MaxLength));
        return true;
    }

    /// <returns>There is a value; otherwise it is null.</returns>
    private static bool WriteJson(LogFormat value, TrafficRecord record, ByteWriter into)
    {
        // A lone operator keeps its type: numbers stay numbers, missing values are null.
        if (value._pieces is [{ Value: not null } only])
        {
            var text = Scratch;
            var hasValue = TryWrite(only, record, only.IsNumber ? into : text);
            if (!hasValue) into.Write("null"u8);
            else if (!only.IsNumber) WriteEscaped(text, into);
            return hasValue;
        }
        var whole = Scratch;
        value.WriteRaw(record, whole);
        WriteEscaped(whole, into);
        return true;
    }

    private static void WriteEscaped(ByteWriter text, ByteWriter into)
    {
        // No byte takes more than a sequence like \u0022.
        const int Longest = 6;
        into.Write("\""u8);
        JavaScriptEncoder.Default.EncodeUtf8(text.Written.Span, into.Reserve(text.Length * Longest), out _, out var written);
        into.Commit(written);
        into.Write("\""u8);
    }

    private static ByteWriter Scratch
    {
        get
        {
            var scratch = _scratch ??= new ByteWriter();
            scratch.Clear();
            return scratch;
        }
    }
}
