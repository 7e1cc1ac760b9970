using System.Globalization;
using System.Text;
using Isthmus.Proxy.Messages;

namespace Isthmus.Proxy.Matching;

/// <summary>A match of one header field, or of a pseudo header (<c>:method</c>, <c>:path</c>, <c>:authority</c>, <c>:scheme</c>).</summary>
internal sealed class HeaderMatch
{
    private readonly string _pseudo;
    private readonly byte[] _name;
    private readonly TextMatch? _value;
    private readonly (long Start, long End)? _range;
    private readonly bool _present;
    private readonly bool _missingIsEmpty;

    public HeaderMatch(string name, TextMatch? value, (long Start, long End)? range, bool present, bool invert, bool missingIsEmpty)
    {
        // The field is read as the pseudo header.
        Name = name.Equals("host", StringComparison.OrdinalIgnoreCase) ? ":authority" : name.ToLowerInvariant();
        _pseudo = Name.StartsWith(':') ? Name : "";
        (_name, _value, _range, _present, IsInverted, _missingIsEmpty) = (Encoding.ASCII.GetBytes(Name), value, range, present, invert, missingIsEmpty);
    }

    public string Name { get; }

    public bool IsInverted { get; }

    /// <summary>Whether the request matches as routes see it: the values of a field that is given twice are one, joined by commas.</summary>
    public bool IsMatch(RequestHead request, string scheme) =>
        _pseudo.Length > 0 ? IsPseudoMatch(request, scheme, Reading.All) : IsJoinedMatch(request.Headers);

    /// <summary>Whether the request matches as policies see it.</summary>
    /// <param name="request">Its fields.</param>
    /// <param name="scheme">"http" or "https".</param>
    /// <param name="reading">Any: one of the field's values is enough, be it a line of its own, an item of a list, or all lines joined. All: each
    /// line must match.</param>
    public bool IsMatch(RequestHead request, string scheme, Reading reading)
    {
        if (_pseudo.Length > 0) return IsPseudoMatch(request, scheme, reading);
        if (!request.Headers.Contains(_name)) return Missing();
        var inner = IsInverted ? reading.Negated() : reading;
        return (inner == Reading.All ? EachMatches(request.Headers, [this]) : OneMatches(request.Headers)) != IsInverted;
    }

    /// <summary>Whether a response has the field.</summary>
    public bool IsMatch(ResponseHead response)
    {
        if (!_name.AsSpan().SequenceEqual(":status"u8)) return IsJoinedMatch(response.Headers);
        Span<byte> status = stackalloc byte[11];
        response.Status.TryFormat(status, out var length, default, CultureInfo.InvariantCulture);
        return Decide(status[..length], Reading.All);
    }

    /// <summary>Whether each value of a field matches one of the options, which are all for the same field and not inverted.</summary>
    public static bool EachMatches(HeaderMatch[] options, RequestHead request, string scheme)
    {
        var first = options[0];
        if (first._pseudo.Length == 0 && request.Headers.Contains(first._name)) return EachMatches(request.Headers, options);
        foreach (var option in options)
            if (option.IsMatch(request, scheme, Reading.All)) return true;
        return false;
    }

    private static bool EachMatches(HeaderBlock fields, ReadOnlySpan<HeaderMatch> options)
    {
        for (var i = 0; i < fields.Count; i++)
        {
            if (!fields.Name(i).SequenceEqual(options[0]._name)) continue;
            var isMatched = false;
            foreach (var option in options) isMatched |= option.Has(fields.Value(i), Reading.All);
            if (!isMatched) return false;
        }
        return true;
    }

    private bool OneMatches(HeaderBlock fields)
    {
        for (var i = 0; i < fields.Count; i++)
        {
            if (!fields.Name(i).SequenceEqual(_name)) continue;
            var line = fields.Value(i);
            if (Has(line, Reading.Any)) return true;
            if (!line.Contains((byte)',')) continue;
            foreach (var item in line.Split((byte)','))
                if (Has(line[item].Trim(" \t"u8), Reading.Any)) return true;
        }
        return fields.IndexOf(_name) is >= 0 and var first && fields.IndexOf(_name, first + 1) >= 0 && Has(fields.JoinedBytes(_name), Reading.Any);
    }

    private bool IsJoinedMatch(HeaderBlock fields)
    {
        var first = fields.IndexOf(_name);
        if (first < 0) return Missing();
        return Decide(fields.IndexOf(_name, first + 1) < 0 ? fields.Value(first) : fields.JoinedBytes(_name), Reading.All);
    }

    private bool IsPseudoMatch(RequestHead request, string scheme, Reading reading)
    {
        // CONNECT has none.
        if (_pseudo == ":path") return request.Target.IsEmpty ? Missing() : Decide(request.Target, reading);
        var text = _pseudo switch { ":method" => request.Method, ":authority" => request.Authority, ":scheme" => scheme, _ => null };
        if (text is null) return Missing();
        Span<byte> small = stackalloc byte[512];
        var bytes = Encoding.UTF8.GetMaxByteCount(text.Length) <= small.Length ? small : new byte[Encoding.UTF8.GetByteCount(text)];
        return Decide(bytes[..Encoding.UTF8.GetBytes(text, bytes)], reading);
    }

    private bool Missing()
    {
        if (_missingIsEmpty) return Decide(default, Reading.All);
        return _value is null && _range is null && _present == IsInverted;
    }

    private bool Decide(ReadOnlySpan<byte> value, Reading reading) => Has(value, IsInverted ? reading.Negated() : reading) != IsInverted;

    /// <summary>Whether a value matches, before it is inverted.</summary>
    private bool Has(ReadOnlySpan<byte> value, Reading reading) =>
        _value is not null ? _value.IsMatch(value, reading)
        : _range is { } range
        ? long.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) && number >= range.Start && number < range.End
        : _present;
}
