namespace Isthmus.Wire.Xds;

/// <summary>A server's state of one stream, in one of the two protocols.</summary>
internal interface IXdsStream<in TRequest, out TResponse>
{
    /// <summary>A client's request; returns what to answer now, in order.</summary>
    IReadOnlyList<TResponse> Receive(TRequest request);

    /// <summary>Updates what the client should have; returns what to send, in order.</summary>
    IReadOnlyList<TResponse> Update(XdsSnapshot snapshot);

    /// <summary>Whether the answer to this request is the first of its type.</summary>
    bool Begins(TRequest request);

    /// <summary>About how many bytes only this stream holds: names that no resource has, and what the client says of itself.</summary>
    long OwnBytes { get; }

    /// <summary>A type waits for its first answer, which the next update may bring.</summary>
    bool IsUnanswered { get; }

    /// <summary>The first answer of a type has been sent, and neither accepted nor rejected.</summary>
    bool IsBeginning { get; }
}
