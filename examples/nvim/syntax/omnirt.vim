" Who speaks, and what happens.
if exists('b:current_syntax')
  finish
endif
syntax match omnirtUser /^You:/
syntax match omnirtAgent /^\%(You\)\@!\k[^:]\{-}:/
syntax match omnirtNote /^\* .*/
syntax match omnirtCut / \[cut\]$/
syntax match omnirtError /^! .*/
highlight default link omnirtUser Identifier
highlight default link omnirtAgent Function
highlight default link omnirtNote Comment
highlight default link omnirtCut WarningMsg
highlight default link omnirtError ErrorMsg
let b:current_syntax = 'omnirt'
