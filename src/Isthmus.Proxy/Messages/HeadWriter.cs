namespace Isthmus.Proxy.Messages;

/// <summary>How a version of HTTP writes a field.</summary>
internal interface IFieldEncoding
{
    static abstract void Write(ByteWriter into, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value);
}

/// <summary>
/// Writes the fields of heads and trailers, for any version of HTTP. It owns framing: <c>content-length</c> and the fields of one hop follow from the
/// message, whatever its fields say, so that no edit makes a body look like another message.
/// </summary>
internal static class HeadWriter
{
    /// <summary>The fields of a request, with what it expects.</summary>
    /// <param name="length">What <c>content-length</c> says; -1: the request has none.</param>
    public static void Request<T>(ByteWriter into, RequestHead head, long length) where T : IFieldEncoding
    {
        Fields<T>(into, head.Headers, isRequest: true);
        if (head.Headers.Contains("te"u8)) T.Write(into, "te"u8, "trailers"u8);
        if (head.ExpectsContinue && head.Body != BodyKind.None) T.Write(into, "expect"u8, "100-continue"u8);
        if (head.Body is BodyKind.None or BodyKind.Length) Length<T>(into, length);
    }

    /// <summary>The fields of a response.</summary>
    /// <param name="length">What <c>content-length</c> says; -1: the response has none.</param>
    public static void Response<T>(ByteWriter into, ResponseHead head, long length) where T : IFieldEncoding
    {
        Fields<T>(into, head.Headers, isRequest: false);
        if (head.Status is >= 200 and not 204) Length<T>(into, length);
    }

    /// <summary>Trailers: none of them can say something about the message that they end.</summary>
    public static void Trailers<T>(ByteWriter into, HeaderBlock trailers) where T : IFieldEncoding => Fields<T>(into, trailers, isRequest: true);

    /// <summary>The method of a request, checked.</summary>
    /// <exception cref="HttpMessageException">It is not one.</exception>
    public static string Method(RequestHead head) => HeadRules.IsToken(head.Method) ? head.Method : throw new HttpMessageException(400, "invalid_method");

    /// <summary>The protocol that a request asks for, checked.</summary>
    /// <exception cref="HttpMessageException">It is not one.</exception>
    public static string Upgrade(RequestHead head) => HeadRules.IsToken(head.Upgrade) ? head.Upgrade : throw new HttpMessageException(400, "invalid_upgrade");

    /// <summary>The authority of a request, checked.</summary>
    /// <exception cref="HttpMessageException">It is not one.</exception>
    public static string Authority(RequestHead head) =>
        head.Authority.Length == 0 || HeadRules.IsAuthority(head.Authority) ? head.Authority : throw new HttpMessageException(400, "invalid_authority");

    private static void Fields<T>(ByteWriter into, HeaderBlock fields, bool isRequest) where T : IFieldEncoding
    {
        for (var i = 0; i < fields.Count; i++)
        {
            var name = fields.Name(i);
            if (!HeadRules.IsOfHop(name) && !(isRequest && name.SequenceEqual("host"u8))) T.Write(into, name, fields.Value(i));
        }
    }

    private static void Length<T>(ByteWriter into, long length) where T : IFieldEncoding
    {
        if (length < 0) return;
        Span<byte> number = stackalloc byte[20];
        System.Buffers.Text.Utf8Formatter.TryFormat(length, number, out var digits);
        T.Write(into, "content-length"u8, number[..digits]);
    }
}

/// <summary>Fields of HTTP/1.x: lines.</summary>
internal readonly struct Http1Fields : IFieldEncoding
{
    /// <inheritdoc/>
    public static void Write(ByteWriter into, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        var length = name.Length + value.Length + 4;
        var line = into.Reserve(length);
        name.CopyTo(line);
        line[name.Length] = (byte)':';
        line[name.Length + 1] = (byte)' ';
        value.CopyTo(line[(name.Length + 2)..]);
        line[length - 2] = (byte)'\r';
        line[length - 1] = (byte)'\n';
        into.Commit(length);
    }
}
