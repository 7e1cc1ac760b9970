using System.Buffers;
using System.Text;
using Isthmus.Proxy.Loops;

namespace Isthmus.Proxy.Messages;

/// <summary>
/// The fields of one message head or trailer section, kept as bytes in one reused buffer so that a keep-alive connection
/// parses, edits and forwards heads without allocating. Names are lower case, as Envoy writes them. It holds nothing that would become another field where it
/// is written: readers check what they add with <see cref="AddRead"/>, and whatever else is added is cleaned.
/// </summary>
internal sealed class HeaderBlock
{
    private struct Field
    {
        public int NameStart;
        public int NameLength;
        public int ValueStart;
        public int ValueLength;
    }

    private const int FirstBytes = 1024, FirstFields = 24;

    private byte[] _bytes = [];
    private int _length;
    private Field[] _fields = [];

    public int Count { get; private set; }

    public ReadOnlySpan<byte> Name(int index) => _bytes.AsSpan(_fields[index].NameStart, _fields[index].NameLength);

    public ReadOnlySpan<byte> Value(int index) => _bytes.AsSpan(_fields[index].ValueStart, _fields[index].ValueLength);

    public void Clear()
    {
        Count = 0;
        _length = 0;
    }

    /// <summary>Clears it, and gives its memory to others until it is used again.</summary>
    public void Release()
    {
        Clear();
        if (_bytes.Length > 0) Buffers<byte>.Return(_bytes);
        if (_fields.Length > 0) Buffers<Field>.Return(_fields);
        _bytes = [];
        _fields = [];
    }

    /// <summary>Appends a field. The name is stored in lower case. In the value, spaces replace what no value may hold.</summary>
    /// <exception cref="ArgumentException">The name is not one.</exception>
    public void Add(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        if (!HeadRules.IsToken(name)) throw new ArgumentException("invalid name of a field", nameof(name));
        AddRead(name, value);
        HeadRules.Clean(_bytes.AsSpan(_length - value.Length, value.Length));
    }

    /// <summary>Appends a field whose name and value a reader has checked.</summary>
    public void AddRead(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        if (Count == _fields.Length) MakeRoom(Count + 1);
        ref var field = ref _fields[Count++];
        field.NameStart = Append(name);
        field.NameLength = name.Length;
        Lower(_bytes.AsSpan(field.NameStart, name.Length));
        field.ValueStart = Append(value);
        field.ValueLength = value.Length;
    }

    public void Add(ReadOnlySpan<byte> name, string value)
    {
        Span<byte> small = stackalloc byte[256];
        var bytes = Encoding.UTF8.GetMaxByteCount(value.Length) <= small.Length ? small : new byte[Encoding.UTF8.GetByteCount(value)];
        Add(name, bytes[..Encoding.UTF8.GetBytes(value, bytes)]);
    }

    /// <summary>Replaces every field of that name with one.</summary>
    public void Set(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        var at = IndexOf(name);
        if (at < 0)
        {
            Add(name, value);
            return;
        }
        var start = Append(value);
        HeadRules.Clean(_bytes.AsSpan(start, value.Length));
        Keep(at, start, value.Length);
    }

    public void Set(ReadOnlySpan<byte> name, string value)
    {
        Span<byte> small = stackalloc byte[256];
        var bytes = Encoding.UTF8.GetMaxByteCount(value.Length) <= small.Length ? small : new byte[Encoding.UTF8.GetByteCount(value)];
        Set(name, bytes[..Encoding.UTF8.GetBytes(value, bytes)]);
    }

    /// <summary>Appends an element to the list in the fields of that name, which become one. Their bytes stay as they came.</summary>
    public void AppendElement(ReadOnlySpan<byte> name, string element)
    {
        var at = IndexOf(name);
        if (at < 0)
        {
            Add(name, element);
            return;
        }
        var start = _length;
        for (var i = at; i < Count; i++)
        {
            if (!Name(i).SequenceEqual(name)) continue;
            Append(Value(i));
            Append(","u8);
        }
        Span<byte> small = stackalloc byte[256];
        var bytes = Encoding.UTF8.GetMaxByteCount(element.Length) <= small.Length ? small : new byte[Encoding.UTF8.GetByteCount(element)];
        Append(bytes[..Encoding.UTF8.GetBytes(element, bytes)]);
        HeadRules.Clean(_bytes.AsSpan(start, _length - start));
        Keep(at, start, _length - start);
    }

    /// <summary>The index of the first field of that lower-case name, or -1.</summary>
    /// <param name="name">In lower case.</param>
    /// <param name="from">The first index that counts.</param>
    public int IndexOf(ReadOnlySpan<byte> name, int from = 0)
    {
        for (var i = from; i < Count; i++)
            if (_fields[i].NameLength == name.Length && Name(i).SequenceEqual(name)) return i;
        return -1;
    }

    public bool Contains(ReadOnlySpan<byte> name) => IndexOf(name) >= 0;

    /// <summary>The value of the first field of that lower-case name; empty when there is none.</summary>
    public ReadOnlySpan<byte> Get(ReadOnlySpan<byte> name) => IndexOf(name) is >= 0 and var at ? Value(at) : default;

    public string? GetString(ReadOnlySpan<byte> name) => IndexOf(name) is >= 0 and var at ? Encoding.UTF8.GetString(Value(at)) : null;

    /// <summary>All values of that name joined by commas, as RFC 9110 section 5.3 defines their meaning; null when there is none.</summary>
    public string? GetJoined(ReadOnlySpan<byte> name)
    {
        string? joined = null;
        for (var i = 0; i < Count; i++)
        {
            if (!Name(i).SequenceEqual(name)) continue;
            var value = Encoding.UTF8.GetString(Value(i));
            joined = joined is null ? value : $"{joined},{value}";
        }
        return joined;
    }

    /// <summary>All values of that name joined by commas, as bytes; empty when there is none.</summary>
    public byte[] JoinedBytes(ReadOnlySpan<byte> name)
    {
        var length = 0;
        for (var i = IndexOf(name); i >= 0; i = IndexOf(name, i + 1)) length += Value(i).Length + 1;
        if (length == 0) return [];
        var joined = new byte[length - 1];
        var at = 0;
        for (var i = IndexOf(name); i >= 0; i = IndexOf(name, i + 1))
        {
            if (at > 0) joined[at - 1] = (byte)',';
            Value(i).CopyTo(joined.AsSpan(at));
            at += Value(i).Length + 1;
        }
        return joined;
    }

    /// <summary>Removes every field of that lower-case name; returns how many there were.</summary>
    public int Remove(ReadOnlySpan<byte> name)
    {
        var removed = 0;
        for (var i = Count - 1; i >= 0; i--)
        {
            if (_fields[i].NameLength != name.Length || !Name(i).SequenceEqual(name)) continue;
            RemoveAt(i);
            removed++;
        }
        return removed;
    }

    public void RemoveAt(int index)
    {
        Count--;
        for (var i = index; i < Count; i++) _fields[i] = _fields[i + 1];
    }

    public void CopyFrom(HeaderBlock other)
    {
        Clear();
        if (_bytes.Length < other._length) _bytes = Buffers<byte>.Rent(other._bytes.Length);
        other._bytes.AsSpan(0, other._length).CopyTo(_bytes);
        _length = other._length;
        if (_fields.Length < other.Count) MakeRoom(other.Count);
        other._fields.AsSpan(0, other.Count).CopyTo(_fields);
        Count = other.Count;
    }

    // The field gets the value, and is the only one of its name.
    private void Keep(int at, int start, int length)
    {
        _fields[at].ValueStart = start;
        _fields[at].ValueLength = length;
        for (var i = Count - 1; i > at; i--)
            if (Name(i).SequenceEqual(Name(at))) RemoveAt(i);
    }

    // Buffers that are replaced are left to the collector, not given back: callers may still hold a value in them.
    private void MakeRoom(int fields)
    {
        var grown = Buffers<Field>.Rent(Math.Max(fields, Math.Max(FirstFields, _fields.Length * 2)));
        _fields.AsSpan(0, Count).CopyTo(grown);
        _fields = grown;
    }

    private int Append(ReadOnlySpan<byte> bytes)
    {
        if (_length + bytes.Length > _bytes.Length)
        {
            // The value may be part of this block: copy it before its buffer is replaced.
            var grown = Buffers<byte>.Rent(Math.Max(FirstBytes, Math.Max(_bytes.Length * 2, _length + bytes.Length)));
            _bytes.AsSpan(0, _length).CopyTo(grown);
            bytes.CopyTo(grown.AsSpan(_length));
            _bytes = grown;
        }
        else
        {
            bytes.CopyTo(_bytes.AsSpan(_length));
        }
        _length += bytes.Length;
        return _length - bytes.Length;
    }

    private static void Lower(Span<byte> name)
    {
        if (!name.ContainsAnyInRange((byte)'A', (byte)'Z')) return;
        foreach (ref var b in name)
            if (b is >= (byte)'A' and <= (byte)'Z') b |= 0x20;
    }
}

/// <summary>Bytes waiting to be sent, in a pooled buffer that grows as needed and returns to the pool when empty.</summary>
internal sealed class ByteWriter : IDisposable
{
    private byte[]? _buffer;

    public int Length { get; private set; }

    public ReadOnlyMemory<byte> Written => _buffer is null ? default : _buffer.AsMemory(0, Length);

    public Span<byte> Reserve(int count)
    {
        if (_buffer is null)
        {
            _buffer = Buffers<byte>.Rent(Math.Max(4096, count));
        }
        else if (_buffer.Length - Length < count)
        {
            var grown = Buffers<byte>.Rent(Math.Max(_buffer.Length * 2, Length + count));
            _buffer.AsSpan(0, Length).CopyTo(grown);
            Buffers<byte>.Return(_buffer);
            _buffer = grown;
        }
        return _buffer.AsSpan(Length);
    }

    public void Commit(int count) => Length += count;

    public void Write(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Reserve(bytes.Length));
        Length += bytes.Length;
    }

    public void Write(string text) => Length += Encoding.UTF8.GetBytes(text, Reserve(Encoding.UTF8.GetMaxByteCount(text.Length)));

    public void WriteNumber(long value)
    {
        var span = Reserve(20);
        System.Buffers.Text.Utf8Formatter.TryFormat(value, span, out var written);
        Length += written;
    }

    public void WriteHex(long value)
    {
        var span = Reserve(16);
        System.Buffers.Text.Utf8Formatter.TryFormat(value, span, out var written, new StandardFormat('x'));
        Length += written;
    }

    public void Clear() => Length = 0;

    /// <summary>Takes back what was written after the first <paramref name="length"/> bytes.</summary>
    public void Truncate(int length) => Length = length;

    public void Dispose()
    {
        if (_buffer is null) return;
        Buffers<byte>.Return(_buffer);
        _buffer = null;
        Length = 0;
    }
}
