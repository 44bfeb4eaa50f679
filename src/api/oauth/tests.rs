//! The routes as clients see them, in this process.
//! Never opens a socket.
